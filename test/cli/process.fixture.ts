// Runs programs of the checkout as a user does, as processes, and gives what they wrote. Everything
// they read and write is in a temporary folder.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const root = join(import.meta.dirname, '..', '..');
export const mizzleBin = join(root, 'bin', 'mizzle.js');

/** What test pipelines import instead of `mizzle`. */
export const entryUrl = pathToFileURL(join(root, 'src', 'index.ts')).href;

export type Ended = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type StartOptions = {
  readonly cwd?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
};

/** A running process whose output can be waited for. */
export class Started {
  readonly ended: Promise<Ended>;
  readonly #child: ReturnType<typeof spawn>;
  readonly #waiting = new Set<() => void>();
  #stdout = '';
  #stderr = '';

  constructor(command: readonly string[], options: StartOptions) {
    const [program = '', ...args] = command;
    const { cwd = root, input = '', env = {} } = options;
    this.#child = spawn(program, args, {
      cwd,
      env: { ...environment(), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: 120_000,
      killSignal: 'SIGKILL',
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#changed();
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#changed();
    });
    // A program may end without reading its input.
    this.#child.stdin!.on('error', () => {}).end(input);
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code) => {
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
        this.#changed();
      });
    });
  }

  /** Resolves when what was written so far matches; rejects when the process ends before. */
  async wrote(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#stdout + this.#stderr)) {
      if (this.#child.exitCode !== null) {
        throw new Error(`ended without writing ${pattern}: ${this.#stdout}${this.#stderr}`);
      }
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  #changed(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** Without what a test runner or a terminal at hand would change. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _context, FORCE_COLOR: _colour, ...rest } = process.env;
  return { ...rest, NO_COLOR: '' };
}

export function startNode(args: readonly string[], options: StartOptions = {}): Started {
  return new Started([process.execPath, ...args], options);
}

export async function node(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  return startNode(args, options).ended;
}

export async function mizzle(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  return node([mizzleBin, ...args], options);
}

export type Folder = {
  readonly path: string;
  write(name: string, text: string): string;
  /** The rows of a file of JSON lines. */
  rows<Row>(name: string): readonly Row[];
  remove(): void;
};

export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'mizzle-cli-'));
  return {
    path,
    write: (name, text) => {
      writeFileSync(join(path, name), text);
      return join(path, name);
    },
    rows: <Row>(name: string) => jsonRows<Row>(readFileSync(join(path, name), 'utf8')),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

export function jsonRows<Row>(text: string): readonly Row[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Row);
}

export function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
