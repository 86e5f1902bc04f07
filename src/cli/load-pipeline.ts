// Finds the pipeline in a user's file: its default export, or the one that it runs.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { StreamError } from '../base/stream-error.ts';
import { capturePipeline } from '../runtime/host/job-code.ts';
import type { Runnable } from '../runtime/host/runnable.ts';
import { UsageError } from './usage-error.ts';

export type LoadedPipeline = { readonly pipeline: Runnable; readonly url: string };

export async function loadPipeline(
  command: string,
  files: readonly string[],
): Promise<LoadedPipeline> {
  const [file, ...more] = files;
  if (file === undefined || more.length > 0) {
    const message =
      file === undefined
        ? `could not ${command}: no pipeline file given`
        : `could not ${command}: several files given`;
    throw new UsageError(message, `\`mizzle ${command} my-pipeline.ts\``);
  }
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new StreamError({
      code: 'file-not-found',
      message: `could not ${command} pipeline "${file}": there is no such file`,
      hint: 'give the path of a TypeScript or JavaScript module',
      fields: { path },
    });
  }
  const url = pathToFileURL(path).href;
  try {
    return { pipeline: await capturePipeline(url), url };
  } catch (error) {
    if (error instanceof StreamError && error.code === 'no-pipeline') throw noPipeline(file);
    throw error;
  }
}

function noPipeline(file: string): StreamError {
  return new StreamError({
    code: 'no-pipeline',
    message: `could not find a pipeline in "${file}"`,
    hint: 'export it as the default of the module: `export default pipeline(…)….to(…)`',
    fields: { file },
  });
}
