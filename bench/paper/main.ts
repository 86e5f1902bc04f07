// `npm run paper -- NAME [--json] [--quick] [--runs N]`: the paper's figures, each as
// results/NAME.json and, where there is something to see, results/NAME.svg. `all` makes every one
// but those that take long. `--quick` is to see that one works: its files go to a temporary folder.
// docs/figures.md tells what they show.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { MeasuredCosts } from './costs.ts';
import { numberArgument } from '../figures.ts';
import { figures, longFigures } from './figures.ts';
import { drawSvg } from './plot.ts';

const committed = join(import.meta.dirname, '..', '..', 'results');
const page = join(import.meta.dirname, '..', '..', 'docs', 'figures.md');

async function main(args: readonly string[]): Promise<void> {
  const [name] = args.filter((argument) => !argument.startsWith('--'));
  const known = [...figures, ...longFigures];
  const chosen = name === 'all' ? figures : known.filter((figure) => figure.name === name);
  if (chosen.length === 0) {
    const lines = known.map((figure) => `  ${figure.name.padEnd(14)}${figure.what}`);
    const others = longFigures.map((figure) => figure.name).join(', ');
    const all = `  ${'all'.padEnd(14)}every one but ${others}`;
    process.stderr.write(
      `npm run paper -- NAME [--json] [--quick] [--runs N]\n\n${[...lines, all].join('\n')}\n`,
    );
    process.exitCode = 2;
    return;
  }
  // Workers import the pipelines of figures, and see the same arguments.
  process.argv.splice(2);
  const quick = args.includes('--quick');
  const runs = numberArgument(args, 'runs', 0);
  const results = quick ? join(tmpdir(), 'mizzle-figures') : committed;
  mkdirSync(results, { recursive: true });
  for (const figure of chosen) {
    const startMs = performance.now();
    const costs = figure.name === 'costs' ? null : costsBefore();
    const { result, lines, shows, plots } = await figure.make({
      quick,
      costs,
      ...(runs > 0 ? { runs } : {}),
    });
    const json = JSON.stringify(result, rounded, 1);
    writeFileSync(join(results, `${figure.name}.json`), `${json}\n`);
    if (plots !== null) writeFileSync(join(results, `${figure.name}.svg`), drawSvg(plots));
    if (!quick) renewRow(figure.name, shows);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    process.stdout.write(`${figure.name} (${seconds} s): ${figure.what}\n`);
    if (quick) process.stdout.write(`  in ${results}\n`);
    for (const line of lines) process.stdout.write(`  ${line}\n`);
    if (args.includes('--json')) process.stdout.write(`${JSON.stringify(result, rounded)}\n`);
  }
}

/** The figure's row in docs/figures.md, so that its numbers are those of the results. */
function renewRow(name: string, shows: string): void {
  const text = readFileSync(page, 'utf8');
  const row = `| \`${name}\` | ${shows} |`;
  const old = text.split('\n').find((line) => line.startsWith(`| \`${name}\` |`));
  if (old === undefined) throw new Error(`docs/figures.md has no row for ${name}`);
  writeFileSync(
    page,
    text.replace(old, () => row),
  );
}

function costsBefore(): MeasuredCosts {
  const file = join(committed, 'costs.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as MeasuredCosts;
  } catch (cause) {
    throw new Error('there are no measured costs: npm run paper -- costs', { cause });
  }
}

/** More digits than anything here is worth would only make differences noisy. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Number(value.toPrecision(5))
    : value;
}

await main(process.argv.slice(2));
