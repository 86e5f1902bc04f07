// Runs the named steps in order: `node tools/check.ts STEP... [PATH-PART...] [--node-test-option]`.
// A failing step does not stop the later ones, so that one run shows everything. All tests go
// through one `node --test`, the last step, so the output ends with the test runner's own summary.

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

type Command = readonly string[];

const root = join(import.meta.dirname, '..');
/**
 * Where Node keeps modules without their types and as byte code, checked against the source: else
 * each test file, and each process and thread that it starts, compiles the engine anew, which takes
 * a second.
 */
const compileCache = join(root, 'node_modules', '.cache', 'compiled');
const tsc = program('typescript/bin/tsc');
const unitTests = ['src/**/*.test.ts', 'tools/**/*.test.ts'];
const integrationTests = ['test/**/*.test.ts'];

const commands: Readonly<Record<string, readonly Command[]>> = {
  format: [[program('oxfmt/bin/oxfmt'), '--check']],
  lint: [[program('oxlint/bin/oxlint'), '--deny-warnings']],
  types: [
    [tsc, '-p', 'tsconfig.json'],
    [tsc, '-p', 'tsconfig.build.json', '--noEmit'],
  ],
  tidy: [['tools/tidy.ts']],
};

const testGlobs: Readonly<Record<string, readonly string[]>> = {
  unit: unitTests,
  integration: integrationTests,
  test: [...unitTests, ...integrationTests],
};

process.exitCode = main(process.argv.slice(2));

function main(args: readonly string[]): number {
  const checks = args.filter((arg) => Object.hasOwn(commands, arg));
  const suites = args.filter((arg) => Object.hasOwn(testGlobs, arg));
  const others = args.filter((arg) => !checks.includes(arg) && !suites.includes(arg));

  const failed = checks.filter((name) => !runStep(name, commands[name] ?? []));
  if (checks.length > 0 && failed.length === 0) say('checks passed');
  if (failed.length > 0) say(`checks FAILED: ${failed.join(', ')}`);

  const globs = suites.flatMap((suite) => testGlobs[suite] ?? []);
  if (globs.length > 0 && !runTests(globs, others)) failed.push('tests');
  // After the tests the checks' own messages are far above: name what failed once more.
  if (globs.length > 0 && failed.length > 0) say(`FAILED: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

function runStep(name: string, steps: readonly Command[]): boolean {
  const startMs = performance.now();
  const passed = steps.every((command) => run(command));
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  say(`${name} ${passed ? 'passed' : 'FAILED'} in ${seconds} s`);
  return passed;
}

/** Type tests are checked by the step `types`; what they hold need not run. */
function runTests(globs: readonly string[], others: readonly string[]): boolean {
  const options = others.filter((arg) => arg.startsWith('-'));
  const pathParts = others.filter((arg) => !arg.startsWith('-'));
  const files = globSync(globs, { cwd: root })
    .filter((file) => !file.endsWith('.types.test.ts'))
    .filter((file) => pathParts.length === 0 || pathParts.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) {
    say(`no test file matches ${pathParts.join(' ') || globs.join(' ')}`);
    return pathParts.length === 0;
  }
  say(`tests: ${files.length} files`);
  // Modules that tests have written somewhere else each time would gather there.
  if (pathParts.length === 0) rmSync(compileCache, { recursive: true, force: true });
  // Node would leave a core idle: of two that is half of them.
  const concurrency = `--test-concurrency=${availableParallelism()}`;
  return run(['--test', concurrency, ...options, ...files]);
}

function run(args: Command): boolean {
  const env = { NODE_COMPILE_CACHE: compileCache, ...process.env };
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env });
  if (result.error) say(`could not run ${args.join(' ')}: ${result.error.message}`);
  return result.status === 0;
}

function program(path: string): string {
  const file = join(root, 'node_modules', path);
  if (!existsSync(file)) throw new Error(`${file} is missing: run npm run setup`);
  return file;
}

function say(message: string): void {
  process.stderr.write(`check: ${message}\n`);
}
