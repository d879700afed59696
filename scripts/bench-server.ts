import fs from 'node:fs';
import path from 'node:path';

/** nginx on a free port of the loopback device, serving a directory. */
export interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

/** @param log takes the bytes of each answer, a line for each */
export async function serve(directory: string, scratch: string, log?: string): Promise<Server> {
  const port = freePort();
  const configuration = path.join(scratch, 'nginx.conf');
  const errors = path.join(scratch, 'nginx.errors');
  fs.writeFileSync(
    configuration,
    `daemon off;
user root;
worker_processes 1;
pid ${scratch}/nginx.pid;
events {}
http {
  log_format bytes '$bytes_sent';
  access_log ${log === undefined ? 'off' : `${log} bytes`};
  sendfile on;
  tcp_nopush on;
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${port};
    root ${directory};
  }
}
`,
  );
  const child = Bun.spawn(['nginx', '-e', errors, '-c', configuration], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  });
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; !(await answers(url)); attempt++) {
    if (child.exitCode !== null || attempt === 100) {
      child.kill();
      throw new Error(`nginx does not answer: ${fs.readFileSync(errors, 'utf8')}`);
    }
    await Bun.sleep(50);
  }
  return {
    url,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Whatever it answers: there may be nothing to serve yet. */
async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { method: 'HEAD' });
    return true;
  } catch {
    return false;
  }
}
