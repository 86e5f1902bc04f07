// Which partitions the sources of a run have: asked once, at the driver, so that all workers agree.

import type { JsonValue } from '../../schema/data-type.ts';
import type { CheckpointManifest } from '../../control/protocol/checkpoint-manifest.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { LogicalPlan, SourceId, SourceSpec } from '../../plan/logical-plan.ts';
import { matchSources, stageOfSource } from '../../plan/plan-compatibility.ts';
import { sourceStructure } from '../../plan/plan-structure.ts';
import type { Source, SourceContext } from '../../ports/source.ts';

export type SourceLayouts = {
  readonly sourcePartitions: Map<SourceId, number>;
  readonly layouts: Record<SourceId, JsonValue>;
  /** Paths that they read. */
  readonly inputs: readonly string[];
};

export type LayoutRequest = {
  readonly logical: LogicalPlan;
  readonly sources: ReadonlyMap<SourceId, Source>;
  readonly run: Pick<SourceContext, 'nowMs' | 'startMs' | 'workerCount'>;
  /** What the run goes on from. */
  readonly latest: CheckpointManifest | null;
  /** Whether anything was read behind it. */
  readonly hasReadBehind: () => Promise<boolean>;
  readonly warn: (text: string) => void;
};

export async function layOutSources(request: LayoutRequest): Promise<SourceLayouts> {
  const { logical, sources, run, latest, hasReadBehind, warn } = request;
  const former = new Map(latest?.sources.map(({ source, layout }) => [source, layout]));
  const before = matchSources(
    latest?.structure.sources ?? [],
    logical.sources.map(sourceStructure),
  );
  const sourcePartitions = new Map<SourceId, number>();
  const layouts: Record<SourceId, JsonValue> = {};
  const inputs: string[] = [];
  for (const spec of logical.sources) {
    const source = sources.get(spec.id)!;
    const { schema, format } = spec;
    const same = before.get(spec.id);
    const known = same === undefined ? undefined : former.get(same);
    const context = {
      ...run,
      warn: (text: string) => warn(`source "${spec.name}": ${text}`),
      schema,
      format,
      ...(known === undefined ? {} : { layout: known }),
    };
    let layout = (await source.layout?.(context)) ?? null;
    const countOf = async (of: JsonValue): Promise<number> =>
      partitionCount(spec, await source.partitions({ ...context, layout: of }));
    let count = await countOf(layout);
    if (known !== undefined && source.layout !== undefined) {
      const had = stageOfSource(latest!.structure, same!).partitions;
      // What was read behind the checkpoint was read without them, and is run again as it was.
      if (count > had && (await hasReadBehind())) {
        layout = known;
        count = await countOf(layout);
        warn(
          `source "${spec.name}" has more partitions than before: they are read from the next ` +
            'start on, since the last run did not end by a stop',
        );
      }
    }
    layouts[spec.id] = layout;
    inputs.push(...(source.paths?.(layout) ?? []));
    sourcePartitions.set(spec.id, count);
  }
  return { sourcePartitions, layouts, inputs };
}

/** A source may be the user's own. */
function partitionCount({ name }: SourceSpec, count: number): number {
  if (Number.isInteger(count) && count > 0) return count;
  throw new StreamError({
    code: 'source-partitions',
    message: `could not read source "${name}": it says that it has ${count} partitions`,
    hint: 'its `partitions` must give a whole number from 1; a partition may be empty',
    fields: { source: name },
  });
}
