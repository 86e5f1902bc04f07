// The package as a user gets it: built, packed, and installed into an empty folder. What it
// depends on comes from npm's cache where that has it, else from the registry.
// Everything happens in temporary folders, so the checkout stays as it is.

import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { build } from '../../tools/build.ts';

export type InstalledPackage = {
  /** An npm project whose only dependency is the package. */
  readonly folder: string;
  /** Paths of the tarball's files. */
  readonly files: readonly string[];
  write(path: string, text: string): void;
  /** Rejects, with `stderr` in the message, when the exit code is not 0. */
  npx(...args: readonly string[]): Promise<Output>;
  node(...args: readonly string[]): Promise<Output>;
  remove(): void;
};

export type Output = { readonly stdout: string; readonly stderr: string };

const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);
const timeoutMs = 120_000;

/** Scripts of packages run on this very Node, not on whichever the machine has. */
const env = {
  ...process.env,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
};

export async function installPackage(): Promise<InstalledPackage> {
  const temporary = mkdtempSync(join(tmpdir(), 'mizzle-package-'));
  const staged = join(temporary, 'staged');
  const folder = join(temporary, 'project');
  mkdirSync(staged);
  mkdirSync(folder);

  // With the sources: what `files` of package.json leaves out must be there to be left out.
  const parts = ['package.json', 'bin', 'src', 'README.md', 'LICENSE', 'CHANGELOG.md'];
  for (const part of parts.filter((name) => existsSync(join(root, name)))) {
    cpSync(join(root, part), join(staged, part), { recursive: true });
  }
  build(join(staged, 'dist'));
  const packed = await run('npm', ['pack', '--json', '--ignore-scripts'], {
    cwd: staged,
    timeout: timeoutMs,
  });
  const manifest = packedManifest(packed.stdout);

  const write = (path: string, text: string) => writeFileSync(join(folder, path), text);
  write('package.json', JSON.stringify({ name: 'project', private: true, type: 'module' }));
  const tarball = join(staged, manifest.filename);
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['install', ...flags, tarball], { cwd: folder, timeout: timeoutMs });

  return {
    folder,
    files: manifest.files.map(({ path }) => path),
    write,
    npx: (...args) =>
      run('npx', ['--no-install', ...args], { cwd: folder, timeout: timeoutMs, env }),
    node: (...args) => run(process.execPath, args, { cwd: folder, timeout: timeoutMs }),
    remove: () => rmSync(temporary, { recursive: true, force: true }),
  };
}

type PackedManifest = {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
};

/** Newer versions of npm key the list by package name. */
function packedManifest(json: string): PackedManifest {
  const [manifest] = Object.values<PackedManifest>(JSON.parse(json));
  if (manifest === undefined) throw new Error(`npm pack --json names no package: ${json}`);
  return manifest;
}
