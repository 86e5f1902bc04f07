// Calls a function in a thread of its own. node:test follows every promise of a thread that has
// tests, which takes half of the time of a simulation that waits for millions of them.

import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

type Calls = {
  readonly module: string;
  readonly name: string;
  readonly inputs: readonly unknown[];
};

/**
 * What the function gives for each input, one after the other. `module`: the URL of the module that
 * exports it by its own name. Inputs and results are copied. The first call that throws ends it,
 * with an error that names the input and has what was thrown as its cause.
 */
export async function eachInOwnThread<Input, Result>(
  call: (input: Input) => Promise<Result>,
  module: string,
  inputs: readonly Input[],
): Promise<readonly Result[]> {
  const calls: Calls = { module, name: call.name, inputs };
  const worker = new Worker(new URL(import.meta.url), { workerData: calls });
  const [results] = (await once(worker, 'message')) as [readonly Result[]];
  return results;
}

if (!isMainThread) parentPort!.postMessage(await results(workerData as Calls));

async function results({ module, name, inputs }: Calls): Promise<readonly unknown[]> {
  const exported = (await import(module)) as Record<string, (input: unknown) => Promise<unknown>>;
  const given: unknown[] = [];
  for (const input of inputs) {
    const result = exported[name]!(input).catch((cause: unknown) => {
      throw new Error(`${name}(${JSON.stringify(input)}) failed`, { cause });
    });
    given.push(await result);
  }
  return given;
}
