// How a worker gets the job's code: it imports the job's module, which either exports the pipeline
// as its default or calls `run`. Functions are never sent; equal plan hashes prove that both sides
// mean the same.

import { StreamError } from '../../base/stream-error.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import { structureHash } from '../../plan/plan-hash.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { Capture } from './capture.ts';
import { setCapture } from './capture.ts';
import type { JobConfig } from './job-config.ts';
import type { Runnable } from './runnable.ts';
import { isRunnable } from './runnable.ts';

/** How long a module may take from running another pipeline to running the one wanted, ms. */
const otherRunWaitMs = 500;

export type JobCode = { readonly pipeline: Runnable; readonly plan: PhysicalPlan };

/**
 * Imports the module and gives the pipeline whose plan has the job's hash. Whoever does not know
 * the job yet gives a promise of it, and the module is loaded meanwhile.
 */
export async function loadJobCode(moduleUrl: string, job: Promise<JobConfig>): Promise<JobCode> {
  let others = 0;
  const { promise, resolve, reject } = Promise.withResolvers<JobCode>();
  const offer = async (pipeline: Runnable): Promise<void> => {
    const config = await job;
    const plan = planOf(pipeline, config);
    const hash = config.compares === 'plan' ? plan.hash : structureHash(plan);
    if (hash === config.planHash) return resolve({ pipeline, plan });
    others++;
    // A program that awaits another run first never comes to this one: in a worker, none ends.
    setTimeout(() => reject(planMismatch(moduleUrl)), otherRunWaitMs);
  };
  let offers = Promise.resolve();
  const capture: Capture = (pipeline) => {
    offers = offers.then(() => offer(pipeline));
    offers.catch(reject);
  };
  setCapture(capture);
  import(moduleUrl)
    .then(async (module: { default?: unknown }) => {
      if (isRunnable(module.default)) capture(module.default);
      await offers;
      // Has no effect when the pipeline was found.
      reject(others === 0 ? noPipeline(moduleUrl) : planMismatch(moduleUrl));
    })
    .catch(reject);
  return promise;
}

/** The plan that the driver made of the pipeline, if it is the same pipeline. */
function planOf(pipeline: Runnable, { partitions, sourcePartitions }: JobConfig): PhysicalPlan {
  const logical = pipeline.plan();
  // Of another pipeline, sources are not counted; its hash will differ.
  const counts = new Map(logical.sources.map(({ id }) => [id, sourcePartitions[id] ?? 1]));
  return planPhysical(logical, { partitions, sourcePartitions: counts });
}

/** Imports the module and gives its default export, or the first pipeline that it runs. */
export async function capturePipeline(moduleUrl: string): Promise<Runnable> {
  const { promise, resolve, reject } = Promise.withResolvers<Runnable>();
  setCapture(resolve);
  import(moduleUrl).then((module: { default?: unknown }) => {
    if (isRunnable(module.default)) resolve(module.default);
    reject(noPipeline(moduleUrl));
  }, reject);
  try {
    return await promise;
  } finally {
    setCapture(undefined);
  }
}

function noPipeline(moduleUrl: string): StreamError {
  return new StreamError({
    code: 'no-pipeline',
    message: `could not find a pipeline in module "${moduleUrl}"`,
    hint:
      'export the pipeline as the default of a module and name it by the option `module`, ' +
      'call `run` at the top level of the main module, or use `workers: 0`',
    fields: { module: moduleUrl },
  });
}

function planMismatch(moduleUrl: string): StreamError {
  return new StreamError({
    code: 'plan-mismatch',
    message: `a worker built another plan from module "${moduleUrl}" than the driver did`,
    hint:
      'build the pipeline the same way every time the module is loaded: no clock, no random ' +
      'numbers and no state in names, options or functions of the pipeline; a program that runs ' +
      'several pipelines one after another gives each a module of its own, which it names by the ' +
      'option `module`, or uses `workers: 0`',
    fields: { module: moduleUrl },
  });
}
