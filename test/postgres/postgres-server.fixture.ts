// A real PostgreSQL server for a test file: found on this machine, or installed by apt where the
// tests may do that. It belongs to a user without rights and lives in a folder of its own.

import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export type PostgresServer = {
  readonly port: number;
  /** Of a user who may do everything. */
  readonly url: string;
  /** Ends all connections and the server, without a word. */
  crash(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
};

export const password = 'p-1 s/e:c@r%t';

/** The server, or why there is none. On CI there must be one. */
export async function startPostgres(): Promise<PostgresServer | string> {
  try {
    const bin = findBinaries() ?? installBinaries();
    return await startServer(bin);
  } catch (error) {
    if ((process.env['CI'] ?? '') !== '') throw error;
    return `no PostgreSQL here: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The folder that holds `initdb` and `pg_ctl`. */
function findBinaries(): string | null {
  const folders = [
    ...globSync('/usr/lib/postgresql/*/bin'),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return folders.find((folder) => existsSync(join(folder, 'pg_ctl'))) ?? null;
}

function installBinaries(): string {
  if (process.getuid?.() !== 0) throw new Error('pg_ctl is missing, and only root can install it');
  const options = { stdio: 'ignore', timeout: 50_000 } as const;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '--yes', '--no-install-recommends', 'postgresql'];
  try {
    execFileSync('apt-get', install, { ...options, env });
  } catch {
    execFileSync('apt-get', ['update'], { ...options, env });
    execFileSync('apt-get', install, { ...options, env });
  }
  const bin = findBinaries();
  if (bin === null) throw new Error('apt-get installed no pg_ctl');
  return bin;
}

/** PostgreSQL refuses to run as root: then it runs as `nobody`. */
function owner(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody']).toString());
  return { uid: id('-u'), gid: id('-g') };
}

async function startServer(bin: string): Promise<PostgresServer> {
  const { uid, gid } = owner();
  const user = uid === undefined || gid === undefined ? {} : { uid, gid };
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-postgres-'));
  chmodSync(folder, 0o700);
  const data = join(folder, 'data');
  const secret = join(folder, 'password');
  writeFileSync(secret, password);
  if (uid !== undefined && gid !== undefined) {
    for (const path of [folder, secret]) chownSync(path, uid, gid);
  }
  const run = (program: string, args: readonly string[]): Promise<void> =>
    runProgram(join(bin, program), args, { ...user, cwd: folder });
  const access = ['--auth=trust', `--pwfile=${secret}`, '--username=admin'];
  await run('initdb', [`--pgdata=${data}`, '--no-sync', '--encoding=UTF8', ...access]);
  // Only one user is asked for a password: that costs each connection some milliseconds.
  const rules = join(data, 'pg_hba.conf');
  const guarded = 'host all guarded 127.0.0.1/32 scram-sha-256\n';
  writeFileSync(rules, guarded + readFileSync(rules, 'utf8'));
  const port = await freePort();
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    'shared_buffers=16MB',
    // What tests kill leaves its connections behind.
    'max_connections=200',
    'fsync=off',
  ];
  const options = settings.map((setting) => `-c ${setting}`).join(' ');
  const control = ['-D', data, '-w', '-t', '30', '-l', join(folder, 'log')];
  const start = (): Promise<void> => run('pg_ctl', [...control, '-o', options, 'start']);
  const crash = (): Promise<void> => run('pg_ctl', [...control, '-m', 'immediate', 'stop']);
  await start();
  return {
    port,
    url: `postgres://admin:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
    start,
    crash,
    remove: async () => {
      await crash();
      rmSync(folder, { recursive: true });
    },
  };
}

/** With no pipe: the server keeps those of its parent, which would never end. */
function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly uid?: number; readonly gid?: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: 'ignore' });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}`));
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
