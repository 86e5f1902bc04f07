// `mizzle explain`: the logical plan, the physical plan and the generated kernels of a pipeline.

import process from 'node:process';
import { kernelSource } from '../../data/codegen/kernel.ts';
import type { LookupTable } from '../../data/state/lookup-table.ts';
import { explainLogical, explainPhysical } from '../../plan/explain.ts';
import { partitionCountsOf } from '../../plan/partition-counts.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import { loadPipeline } from '../load-pipeline.ts';
import { numberOption, parseOptions } from '../options.ts';

const help = `mizzle explain PIPELINE.ts [options] [-- ARGUMENTS]

Shows what a pipeline does without running it:
  the logical plan     what you wrote, operator by operator; lambdas are opaque to the planner
  the physical plan    stages cut at exchanges (shuffles), after the rewrite rules
  the kernels          the JavaScript that each stage was compiled to

Options:
  --no-kernels         leave out the generated code
  --partitions N       partitions of keyed state (default 8)
`;

export const explainCommand = {
  summary: 'shows the plans and the generated code of a pipeline',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const commandLine = parseOptions('explain', argv, {
      'no-kernels': { type: 'boolean' },
      partitions: { type: 'string' },
    });
    const { values } = commandLine;
    const { pipeline } = await loadPipeline('explain', commandLine);
    const logical = pipeline.plan();
    const partitions = numberOption('partitions', values['partitions']) ?? 8;
    const physical = planPhysical(logical, { partitions });
    const parts = [explainLogical(logical), explainPhysical(physical)];
    if (values['no-kernels'] !== true) {
      // Partition counts of sources are known when they are opened; the text is the same for all.
      const partitionCounts = partitionCountsOf(physical, () => 1);
      const lookups = new Map<string, LookupTable>();
      const bindings = pipeline.bindings();
      for (const stage of physical.stages) {
        const text = kernelSource({ plan: physical, stage, bindings, partitionCounts, lookups });
        parts.push(`kernel of stage ${stage.id}\n\n${text}`);
      }
    }
    process.stdout.write(`${parts.join('\n\n')}\n`);
    // The file may hold a timer or a connection; explaining it is done.
    process.exitCode = 0;
    return 0;
  },
};
