// Finds the pipeline in a user's file: its default export, or the one that it runs.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { StreamError } from '../base/stream-error.ts';
import type { JobBundle } from '../runtime/cluster/bundle-job.ts';
import { bundleJob } from '../runtime/cluster/bundle-job.ts';
import { CodeCache } from '../runtime/cluster/code-cache.ts';
import { resolveEngineModules } from '../runtime/cluster/engine-modules.ts';
import { capturePipeline } from '../runtime/host/job-code.ts';
import type { Runnable } from '../runtime/host/runnable.ts';
import type { CommandLine } from './options.ts';
import { UsageError } from './usage-error.ts';

export type LoadedPipeline = { readonly pipeline: Runnable; readonly url: string };

export async function loadPipeline(
  command: string,
  { files, moduleArgs }: CommandLine,
  capture: (url: string) => Promise<Runnable> = capturePipeline,
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
  if (!/\.[cm]?[jt]s$/.test(path)) {
    throw new StreamError({
      code: 'not-a-module',
      message: `could not ${command} "${file}": it is no TypeScript or JavaScript module`,
      hint: 'give the file that defines the pipeline; the data it reads is named in there',
      fields: { path },
    });
  }
  const url = pathToFileURL(path).href;
  // The module sees the command line that it would see if it were run itself; threads get it, too.
  process.argv.splice(1, Infinity, path, ...moduleArgs);
  try {
    return { pipeline: await capture(url), url };
  } catch (error) {
    if (error instanceof StreamError && error.code === 'no-pipeline') throw noPipeline(file);
    throw error;
  }
}

/** The pipeline as hosts will load it: from the one file that its module is bundled to. */
export async function loadBundledPipeline(
  command: string,
  commandLine: CommandLine,
): Promise<LoadedPipeline & { readonly bundle: JobBundle }> {
  let bundle: JobBundle | null = null;
  const loaded = await loadPipeline(command, commandLine, async (url) => {
    bundle = await bundleJob(url);
    process.setSourceMapsEnabled(true);
    resolveEngineModules();
    return capturePipeline(new CodeCache().keep(bundle.hash, bundle.code));
  });
  return { ...loaded, bundle: bundle! };
}

function noPipeline(file: string): StreamError {
  return new StreamError({
    code: 'no-pipeline',
    message: `could not find a pipeline in "${file}"`,
    hint: 'export it as the default of the module: `export default pipeline(…)….to(…)`',
    fields: { file },
  });
}
