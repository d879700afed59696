import { constants } from 'node:os';
import { RdpullError } from '../../console/rdpull-error.ts';
import { FuseAnswers, FuseRequests } from '../../kernel/fuse-device.ts';
import { SystemCallError } from '../../kernel/system-error.ts';
import { PresentPages } from '../cache/present-pages.ts';
import { fileTree } from './file-tree.ts';
import type { FromWorker, Start } from './messages.ts';
import { FUSE_MIN_READ_BUFFER } from './protocol.ts';
import { errorReply, MAX_READ, replyHeader } from './reply.ts';
import { parseRequest } from './request.ts';
import { respond } from './respond.ts';

/**
 * The worker thread that answers the kernel. What is there it reads itself, however busy the main thread is; all it does
 * otherwise is wait, so that it never gets a second message.
 */
declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<Start>) => {
  try {
    serve(data);
    send({ kind: 'ended' });
  } catch (error) {
    send({ kind: 'failed', error: RdpullError.from(error).toRecord() });
  }
};

function serve({ device, stop, file, size, bits, path }: Start): void {
  const requests = new FuseRequests(device, stop, FUSE_MIN_READ_BUFFER);
  using answers = new FuseAnswers(device, { fd: file, size }, MAX_READ);
  const present = new PresentPages(size, bits);
  const tree = fileTree(path, size);

  for (;;) {
    const received = requests.receive();
    if (received === undefined) return;
    const response = respond(parseRequest(requests.message.subarray(0, received)), tree);
    switch (response.kind) {
      case 'reply':
        answers.send(response.reply);
        break;
      case 'part': {
        const { unique, offset, length } = response;
        if (present.has(offset, length)) sendPart(answers, unique, offset, length);
        else send({ kind: 'missing', unique, offset, length });
        break;
      }
      case 'interrupt':
        send(response);
        break;
      case 'none':
        break;
    }
  }
}

function sendPart(answers: FuseAnswers, unique: bigint, offset: number, length: number): void {
  try {
    answers.sendPart(replyHeader(unique, length), offset, length);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.syscall !== 'pread') throw error;
    answers.send(errorReply(unique, constants.errno.EIO));
  }
}

function send(message: FromWorker): void {
  postMessage(message);
}
