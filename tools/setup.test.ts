import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

type Checkout = {
  readonly root: string;
  setup(): Promise<{ readonly stdout: string; readonly stderr: string }>;
  /** How often npm was called. */
  installs(): number;
};

/** A checkout with an npm that takes 0.3 s and installs a `node` that says `version`. */
function checkout(t: TestContext, options: { readonly version: string | null }): Checkout {
  const root = mkdtempSync(join(tmpdir(), 'mizzle-setup-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'tools'));
  mkdirSync(join(root, 'path'));
  cpSync(join(import.meta.dirname, 'setup.mjs'), join(root, 'tools', 'setup.mjs'));
  writeFileSync(join(root, 'package-lock.json'), '{}');

  const install =
    options.version === null ? ':' : `printf '#!/bin/sh\\necho ${options.version}\\n'`;
  const npm = [
    '#!/bin/sh',
    'echo called >>calls',
    'echo from npm',
    'rm -rf node_modules && mkdir -p node_modules/.bin',
    'sleep 0.3',
    `${install} >node_modules/.bin/node`,
    options.version === null ? 'rm node_modules/.bin/node' : 'chmod +x node_modules/.bin/node',
  ];
  writeFileSync(join(root, 'path', 'npm'), `${npm.join('\n')}\n`);
  chmodSync(join(root, 'path', 'npm'), 0o755);

  const env = { ...process.env, PATH: `${join(root, 'path')}${delimiter}${process.env['PATH']}` };
  return {
    root,
    setup: () => run(process.execPath, [join(root, 'tools', 'setup.mjs')], { env }),
    installs: () =>
      existsSync(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').length / 7 : 0,
  };
}

test('setup installs once, again when the lock file changes, and says so on stderr', async (t) => {
  const { root, setup, installs } = checkout(t, { version: 'v24.0.0' });
  const first = await setup();
  assert.equal(first.stdout, '');
  assert.match(first.stderr, /npm ci[^]*from npm[^]*installed in/);
  const second = await setup();
  assert.deepEqual([second.stdout, second.stderr, installs()], ['', '', 1]);

  writeFileSync(join(root, 'package-lock.json'), '{"changed": true}');
  await setup();
  assert.equal(installs(), 2);
});

test('setup runs once when it is started twice at the same time', async (t) => {
  const { root, setup, installs } = checkout(t, { version: 'v24.0.0' });
  await Promise.all([setup(), setup()]);
  assert.equal(installs(), 1);
  assert.equal(existsSync(join(root, '.setup.lock')), false);
});

test('setup takes over from one that was killed', async (t) => {
  const { root, setup, installs } = checkout(t, { version: 'v24.0.0' });
  const { stdout: pid } = await run(process.execPath, ['-p', 'process.pid']);
  writeFileSync(join(root, '.setup.lock'), pid.trim());
  await setup();
  assert.equal(installs(), 1);
});

test('setup fails with a remedy when Node is not the one that is needed', async (t) => {
  for (const version of ['v20.1.0', null]) {
    const { setup, installs } = checkout(t, { version });
    const pattern = /scripts need Node 24[^]*ignore-scripts[^]*Remedy: /;
    await assert.rejects(setup(), (error: Error & { stderr: string }) =>
      pattern.test(error.stderr),
    );
    await assert.rejects(setup());
    assert.equal(installs(), 2, 'a set-up that failed leaves no stamp');
  }
});
