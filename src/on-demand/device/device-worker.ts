import { RdpullError } from '../../console/rdpull-error.ts';
import { detachLoopDevice } from '../../expose/loop-detach.ts';
import { bindLoopDevice } from '../../expose/loop-device.ts';
import { changeFile } from './change-file.ts';
import type { Outcome, Task } from './tasks.ts';

/**
 * The worker thread for a task with a device. The kernel may hold it up until reads of others are answered, and what those wait for comes
 * from the main thread.
 */
declare const self: Worker;

self.onmessage = async ({ data }: MessageEvent<Task>) => {
  try {
    send(await carryOut(data));
  } catch (error) {
    send({ kind: 'failed', error: RdpullError.from(error).toRecord() });
  }
};

async function carryOut(task: Task): Promise<Outcome> {
  switch (task.kind) {
    case 'bind':
      return { kind: 'done', attached: await bindLoopDevice(task.request) };
    case 'change':
      await changeFile(task.request);
      return { kind: 'done' };
    case 'detach':
      await detachLoopDevice(task.device);
      return { kind: 'done' };
  }
}

function send(outcome: Outcome): void {
  postMessage(outcome);
}
