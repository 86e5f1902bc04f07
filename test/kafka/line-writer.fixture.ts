// Kafka's own producer in a process of its own, which brokers that die do not hold up for longer
// than they are away, and which writes nothing twice.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { javaArguments } from './java-program.fixture.ts';

export type Line = { readonly partition: number; readonly key: string; readonly value: string };

export class LineWriter {
  readonly #java: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(bootstrap: string, topic: string) {
    const args = javaArguments('LineProducer.java', [bootstrap, topic]);
    const java = spawn('java', args, { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    java.stderr.on('data', (text) => (said += String(text)));
    // Why it is gone is what it said.
    java.stdin.on('error', () => {});
    this.#java = java;
    this.#ended = new Promise((resolve, reject) => {
      java.on('error', reject);
      java.on('close', (code, signal) => {
        if (code === 0) resolve();
        else reject(new Error(`the producer ended with ${code ?? signal}: ${said}`));
      });
    });
    this.#ended.catch(() => {});
  }

  /** Key and value without line feeds, the key without tabs. */
  write({ partition, key, value }: Line): void {
    this.#java.stdin!.write(`${partition}\t${key}\t${value}\n`);
  }

  /** Back when brokers have all of it. */
  async finish(): Promise<void> {
    this.#java.stdin!.end();
    await this.#ended;
  }

  end(): void {
    this.#java.kill('SIGKILL');
  }
}
