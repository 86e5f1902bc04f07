// A real S3 server for tests: one that the environment names, a versitygw on the path, or moto,
// which is installed by pip into a folder for temporary files and used again from there.

import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';

export type S3Server = {
  readonly endpoint: string;
  readonly bucket: string;
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
};

const moto = '5.2.5';
/** What moto's S3 needs of its many parts. */
const packages = [`moto==${moto}`, 'flask', 'flask-cors', 'py-partiql-parser', 'PyYAML'];
const startMs = 60_000;

/** Left to itself moto answers in several threads, and of two conditional writes both may win. */
const serialMoto = `
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
app = DomainDispatcherApplication(create_backend_app)
run_simple('127.0.0.1', int(sys.argv[1]), app, threaded=False)
`;

const environment = { AWS_ACCESS_KEY_ID: 'test-key', AWS_SECRET_ACCESS_KEY: 'test-secret' };

/** Or why there is none on this machine. */
export async function startS3(): Promise<S3Server | { readonly missing: string }> {
  const named = process.env['MIZZLE_TEST_S3_ENDPOINT'];
  if (named !== undefined) return usable(named, pickKeys(), null, () => {});
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-s3-'));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  const port = await freePort();
  const command = commandOf(folder, port);
  if ('missing' in command) {
    clean();
    return command;
  }
  const child = spawn(command.file, command.args, {
    env: { ...process.env, ROOT_ACCESS_KEY: 'test-key', ROOT_SECRET_KEY: 'test-secret' },
    stdio: 'ignore',
  });
  return usable(`http://127.0.0.1:${port}`, environment, child, clean);
}

function commandOf(
  folder: string,
  port: number,
): { readonly file: string; readonly args: readonly string[] } | { readonly missing: string } {
  if (spawnSync('versitygw', ['--version']).status === 0) {
    return { file: 'versitygw', args: ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', folder] };
  }
  const python = installedMoto();
  if ('missing' in python) return python;
  return { file: python.file, args: ['-c', serialMoto, String(port)] };
}

function installedMoto(): { readonly file: string } | { readonly missing: string } {
  const home = join(tmpdir(), `mizzle-test-moto-${moto}`);
  const file = join(home, 'bin', 'python');
  if (existsSync(file)) return { file };
  // Under its final name only when it is whole; a virtual environment may be renamed as long as
  // only its interpreter is used.
  const fresh = `${home}.${process.pid}`;
  const steps: readonly (readonly string[])[] = [
    ['python3', '-m', 'venv', fresh],
    [join(fresh, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', '--no-compile', ...packages],
  ];
  for (const [program, ...args] of steps) {
    const { status, error, stderr } = spawnSync(program!, args, { encoding: 'utf8' });
    if (status === 0) continue;
    rmSync(fresh, { recursive: true, force: true });
    return { missing: `${program} failed: ${error?.message ?? stderr.trim().slice(-300)}` };
  }
  if (!existsSync(home)) renameSync(fresh, home);
  return { file };
}

async function usable(
  endpoint: string,
  keys: Readonly<Record<string, string>>,
  child: ChildProcess | null,
  clean: () => void,
): Promise<S3Server | { readonly missing: string }> {
  const stop = async (): Promise<void> => {
    if (child !== null && child.exitCode === null) {
      child.kill();
      await once(child, 'exit');
    }
    clean();
  };
  const client = new AwsClient({
    accessKeyId: keys['AWS_ACCESS_KEY_ID']!,
    secretAccessKey: keys['AWS_SECRET_ACCESS_KEY']!,
    service: 's3',
    region: 'us-east-1',
    retries: 0,
  });
  const bucket = `mizzle-test-${process.pid}`;
  const endMs = performance.now() + startMs;
  let problem = '';
  while (performance.now() < endMs && child?.exitCode == null) {
    try {
      const response = await client.fetch(`${endpoint}/${bucket}`, { method: 'PUT' });
      if (response.ok) return { endpoint, bucket, environment: keys, stop };
      problem = `it refused a bucket with status ${response.status}`;
    } catch (error) {
      problem = String(error);
    }
    await pause(100);
  }
  await stop();
  return { missing: `the server did not start: ${problem}` };
}

function pickKeys(): Readonly<Record<string, string>> {
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const;
  return Object.fromEntries(names.map((name) => [name, process.env[name] ?? '']));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
