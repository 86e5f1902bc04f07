// Makes the checkout ready to run: installs the locked development packages when they differ from
// the lock file, and makes sure that scripts get the Node that the package `node` carries. It runs
// before every script, so it is plain JavaScript for an old Node, and fast when nothing changed.
// All output goes to standard error: standard output belongs to the script that follows.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const nodeMajor = 24;
const waitMsMax = 600_000;
const pollMs = 200;

export function setup(root) {
  const modules = join(root, 'node_modules');
  const stampFile = join(modules, '.setup-stamp');
  const stamp = expectedStamp(root);
  const isReady = () => readOrNull(stampFile) === stamp;
  if (isReady()) return;

  withLock(join(root, '.setup.lock'), () => {
    // Another set-up may have done the work while this one waited.
    if (isReady()) return;
    install(root, modules);
    verifyNode(modules);
    mkdirSync(modules, { recursive: true });
    writeFileSync(stampFile, stamp);
  });
}

/** Changes with the lock file, and with the platform, because some packages carry binaries. */
function expectedStamp(root) {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const hash = createHash('sha256').update(lock).digest('hex');
  return `${hash} ${process.platform}-${process.arch}\n`;
}

function install(root, modules) {
  say('installing the development packages (npm ci) …');
  const startMs = Date.now();
  // Without our own .bin in PATH: npm must not run on the Node that it is about to replace.
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((entry) => entry !== join(modules, '.bin'))
    .join(delimiter);
  const result = spawnSync('npm', ['ci', '--include=dev', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, PATH: path },
    shell: process.platform === 'win32',
  });
  if (result.error) fail(`could not start npm: ${result.error.message}`);
  if (result.status !== 0) {
    fail(`npm ci ended with exit code ${result.status}; its messages are above`);
  }
  say(`installed in ${((Date.now() - startMs) / 1000).toFixed(1)} s`);
}

/** npm puts .bin first in a script's PATH, so this is the Node that the scripts run on. */
function verifyNode(modules) {
  const binary = join(modules, '.bin', 'node');
  const result = spawnSync(binary, ['--version'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  const version = result.status === 0 ? result.stdout.trim() : null;
  if (version !== null && version.startsWith(`v${nodeMajor}.`)) return;
  fail(
    `scripts need Node ${nodeMajor} from the development package "node", but ` +
      (version === null ? `${binary} does not run` : `${binary} is ${version}`) +
      `\n  Its install script has not run, which is what npm's option ignore-scripts does.` +
      `\n  Remedy: npm_config_ignore_scripts=false npm run setup`,
  );
}

function withLock(file, action) {
  acquire(file);
  try {
    action();
  } finally {
    rmSync(file, { force: true });
  }
}

function acquire(file) {
  const deadlineMs = Date.now() + waitMsMax;
  let waiting = false;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = readOrNull(file);
    if (owner !== null && /^\d+$/.test(owner) && !isAlive(Number(owner))) {
      rmSync(file, { force: true });
      continue;
    }
    if (Date.now() > deadlineMs)
      fail(`another set-up (process ${owner}) holds ${file} for too long`);
    if (!waiting) say(`waiting for another set-up (process ${owner}) …`);
    waiting = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pollMs);
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function readOrNull(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

class SetupFailure extends Error {}

function fail(message) {
  throw new SetupFailure(message);
}

function say(message) {
  process.stderr.write(`setup: ${message}\n`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    setup(dirname(dirname(fileURLToPath(import.meta.url))));
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
