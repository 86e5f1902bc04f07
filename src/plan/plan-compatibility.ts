// Whether a pipeline can go on from the checkpoint of another version of itself, and what of the
// one becomes what of the other: state by operators with state, positions by sources, ledgers by
// sinks. Stages and exchanges are numbered by the planner and mean nothing by themselves.
//
// What keeps nothing may come, go and change. What keeps state stays what it is, or its state is
// dropped, which must be asked for.

import { assert } from '../base/assert.ts';
import { isCounted, matchItems } from './match-items.ts';
import type {
  NamedText,
  OperatorStructure,
  PlanStructure,
  SinkStructure,
  SourceStructure,
  StageStructure,
  StateStructure,
} from './plan-structure.ts';

export type Compatibility =
  | ({ readonly kind: 'compatible' } & PlanMapping)
  | ({ readonly kind: 'incompatible' } & PlanDifference);

export type PlanMapping = {
  /** By source of now: the one before. One that is not there begins at its start. */
  readonly sources: ReadonlyMap<string, string>;
  /** Stages of now whose state comes from before; others begin with none. */
  readonly stages: readonly StageMove[];
  /** By sink: the name in its ledger, where that is not its id. */
  readonly ledgers: { readonly [sink: string]: string };
  /** Sinks that the pipeline before did not have. */
  readonly newSinks: readonly string[];
  /** What is begun anew or given up, sentence by sentence, for people. */
  readonly notes: readonly string[];
  /**
   * Why micro-batches that the version before has read behind the checkpoint cannot be run again
   * by this one: their output would be lost or come twice. Null: they can.
   */
  readonly replayHazard: string | null;
};

export type StageMove = {
  readonly from: StageStructure;
  readonly to: StageStructure;
  /** The bytes are good as they are: neither name nor number of partitions has changed. */
  readonly isSame: boolean;
};

export type PlanDifference = {
  /** Of the operator, source or sink. */
  readonly name: string;
  /** What it was and what it is, with its name. */
  readonly difference: string;
  readonly remedy: string;
};

export type CompatibilityOptions = {
  /** State that has no place in the plan any more is given up. */
  readonly dropsState: boolean;
  /** The micro-batch of the checkpoint. */
  readonly batch: number;
  /** Whether the checkpoint holds anything of a stage. */
  readonly hasState: (stage: number) => boolean;
};

/** Pure: the same structures always give the same answer. */
export function planCompatibility(
  before: PlanStructure,
  now: PlanStructure,
  options: CompatibilityOptions,
): Compatibility {
  try {
    return { kind: 'compatible', ...new Comparison(before, now, options).mapping() };
  } catch (error) {
    if (error instanceof Incompatible) return { kind: 'incompatible', ...error.found };
    throw error;
  }
}

/** By source of now: the one before that reads the same. */
export function matchSources(
  before: readonly SourceStructure[],
  now: readonly SourceStructure[],
): ReadonlyMap<string, string> {
  return matchItems(before.map(withDescription), now.map(withDescription));
}

function withDescription({ id, description }: SourceStructure | SinkStructure): {
  readonly id: string;
  readonly content: string;
} {
  return { id, content: description };
}

class Incompatible extends Error {
  readonly found: PlanDifference;

  constructor(found: PlanDifference) {
    super(found.difference);
    this.found = found;
  }
}

/** An operator with state, and the stage that it is the root of. */
type Keeper = {
  readonly operator: OperatorStructure & { readonly state: StateStructure };
  readonly stage: StageStructure;
};

const dropping = 'let the state go with --allow-dropped-state (`allowDroppedState: true`)';

class Comparison {
  readonly #before: PlanStructure;
  readonly #now: PlanStructure;
  readonly #options: CompatibilityOptions;
  readonly #sources: ReadonlyMap<string, string>;
  readonly #notes: string[] = [];
  /** The first operator that has changed, so that it begins empty. */
  #changed: string | null = null;

  constructor(before: PlanStructure, now: PlanStructure, options: CompatibilityOptions) {
    this.#before = before;
    this.#now = now;
    this.#options = options;
    this.#sources = matchSources(before.sources, now.sources);
  }

  mapping(): PlanMapping {
    this.#checkSources();
    const kept = this.#keptOperators();
    this.#checkRemovedSources(kept);
    const sinks = this.#matchedSinks();
    const names = new Map([...this.#sources, ...kept]);
    this.#noteColumns(sinks);
    return {
      sources: this.#sources,
      stages: this.#now.stages.flatMap((stage) => this.#moveTo(stage, names)),
      ledgers: this.#ledgers(sinks),
      newSinks: this.#now.sinks.flatMap(({ id }) => (sinks.has(id) ? [] : [id])),
      notes: this.#notes,
      replayHazard:
        this.#changed ??
        this.#sourceHazard() ??
        this.#inputHazard(kept) ??
        this.#sinkHazard(sinks, names),
    };
  }

  #checkSources(): void {
    for (const { id, description } of this.#now.sources) {
      const former = this.#before.sources.find((source) => source.id === id);
      const isTaken = [...this.#sources.values()].includes(id);
      if (!this.#sources.has(id) && former !== undefined && !isTaken) {
        this.#drop({
          name: id,
          difference: `source "${id}" read ${former.description}, and reads ${description} now`,
          remedy:
            'where it goes on is known only for what it read: read that, or ' +
            `${dropping}, and it begins at the start of ${description}`,
          isEmpty: !this.#options.hasState(stageOfSource(this.#before, id).stage),
        });
      }
    }
    for (const [id, former] of this.#sources) {
      const had = stageOfSource(this.#before, former).partitions;
      const has = stageOfSource(this.#now, id).partitions;
      if (has >= had) continue;
      throw new Incompatible({
        name: id,
        difference: `source "${id}" had ${had} partitions, and has ${has} now`,
        remedy: `give it ${had} partitions or more`,
      });
    }
  }

  /** By operator with state of now: the one before whose state it takes over. */
  #keptOperators(): ReadonlyMap<string, string> {
    const before = keepersOf(this.#before);
    const now = keepersOf(this.#now);
    const isRelated = (former: string, id: string): boolean =>
      this.#isRelated(keeperOf(before, former), keeperOf(now, id));
    const matched = matchItems(before.map(withState), now.map(withState), isRelated);
    const free = (id: string): boolean => ![...matched.values()].includes(id);
    for (const keeper of now) {
      const { id } = keeper.operator;
      const former = before.find(({ operator }) => operator.id === id);
      if (matched.has(id) || former === undefined || !free(id)) continue;
      if (this.#isSameState(former, keeper)) matched.set(id, id);
    }
    for (const keeper of before) {
      if (!free(keeper.operator.id)) continue;
      const { id } = keeper.operator;
      const isThere = now.some(({ operator }) => operator.id === id && !matched.has(id));
      if (isThere) continue;
      const { aggregates, columns } = keeper.operator.state;
      const names = [...aggregates, ...columns].map(({ name }) => name).join(', ');
      this.#dropKeeper(keeper, `operator "${id}", which has state (${names}), is gone`);
    }
    this.#noteLookalikes(before, now);
    return matched;
  }

  #isSameState(former: Keeper, keeper: Keeper): boolean {
    const { id, kind } = keeper.operator;
    const difference =
      former.operator.kind === kind
        ? stateDifference(former.operator.state, keeper.operator.state)
        : `was of kind ${former.operator.kind}, and is of kind ${kind} now`;
    if (difference !== null) {
      this.#changed ??= `operator "${id}" ${difference}`;
      this.#dropKeeper(former, `operator "${id}" ${difference}`);
      return false;
    }
    if (!isCounted(id) || this.#isRelated(former, keeper)) return true;
    const [was, is] = [this.#before, this.#now].map((plan) => {
      const { stage } = plan === this.#before ? former : keeper;
      return [...sourcesBehind(plan, stage)].map((source) => `"${source}"`).join(', ');
    });
    const took =
      was === is
        ? `holds rows of what ${was} read before`
        : `took rows of ${was}, and takes rows of ${is} now`;
    this.#dropKeeper(former, `operator "${id}" ${took}`);
    return false;
  }

  /** They have a source in common, of those that both versions have. */
  #isRelated(former: Keeper, keeper: Keeper): boolean {
    const had = sourcesBehind(this.#before, former.stage);
    const has = sourcesBehind(this.#now, keeper.stage);
    return [...has].some((source) => {
      const same = this.#sources.get(source);
      return same !== undefined && had.has(same);
    });
  }

  #dropKeeper({ operator, stage }: Keeper, difference: string): void {
    const { id } = operator;
    const names = this.#now.stages
      .flatMap(({ operators }) => operators)
      .filter((other) => other.state !== null && !isCounted(other.id))
      .map((other) => `"${other.id}"`);
    const renamed =
      difference.endsWith('is gone') && names.length > 0 ? ` (there are ${names.join(', ')})` : '';
    this.#drop({
      name: id,
      difference,
      remedy: `put it back as it was${renamed}, or ${dropping}`,
      isEmpty: !this.#options.hasState(stage.stage),
    });
  }

  /** State that nobody takes over must be given up by the user; there may be none. */
  #drop({ isEmpty, ...found }: PlanDifference & { readonly isEmpty: boolean }): void {
    if (isEmpty) return;
    if (!this.#options.dropsState) throw new Incompatible(found);
    this.#notes.push(`dropped state: ${found.difference}`);
  }

  #noteLookalikes(before: readonly Keeper[], now: readonly Keeper[]): void {
    const counted = now.filter(({ operator }) => isCounted(operator.id));
    for (const [index, one] of counted.entries()) {
      const other = counted.slice(index + 1).find((each) => {
        return withState(each).content === withState(one).content && before.length > 1;
      });
      if (other === undefined) continue;
      this.#notes.push(
        `operators "${one.operator.id}" and "${other.operator.id}" are alike: if the change has ` +
          'put them in another order, each now has the state of the other; name them with .named()',
      );
    }
  }

  #checkRemovedSources(kept: ReadonlyMap<string, string>): void {
    const gone = this.#before.sources.filter(({ id }) => ![...this.#sources.values()].includes(id));
    for (const { id } of gone) {
      const keeper = keepersOf(this.#before).find(({ operator, stage }) => {
        const isKept = [...kept.values()].includes(operator.id);
        return isKept && sourcesBehind(this.#before, stage).has(id);
      });
      if (keeper === undefined) continue;
      const { operator, stage } = keeper;
      this.#drop({
        name: id,
        difference: `source "${id}" is gone, and operator "${operator.id}" keeps what it gave`,
        remedy: `put it back, or ${dropping}: windows that are open go on without it`,
        isEmpty: !this.#options.hasState(stage.stage),
      });
    }
  }

  #moveTo(to: StageStructure, names: ReadonlyMap<string, string>): readonly StageMove[] {
    const root = to.operators[0];
    const keeps = to.source !== null || (root !== undefined && root.state !== null);
    const name = to.source ?? root?.id;
    const former = name === undefined ? undefined : names.get(name);
    // A stage that keeps watermarks only has them again with its next micro-batch.
    if (!keeps || former === undefined) return [];
    const from =
      to.source === null
        ? keeperOf(keepersOf(this.#before), former).stage
        : stageOfSource(this.#before, former);
    const isSame = former === name && (to.source !== null || from.partitions === to.partitions);
    return [{ from, to, isSame }];
  }

  #matchedSinks(): ReadonlyMap<string, string> {
    return matchItems(
      this.#before.sinks.map(withDescription),
      this.#now.sinks.map(withDescription),
    );
  }

  /** Rows that are there already stay as they are. */
  #noteColumns(sinks: ReadonlyMap<string, string>): void {
    for (const [id, former] of sinks) {
      const { columns } = sinkOf(this.#now, id);
      const before = sinkOf(this.#before, former).columns;
      if (columns === before) continue;
      this.#notes.push(`sink "${id}" got rows of ${before}, and gets rows of ${columns} now`);
    }
  }

  /** A ledger is never taken over by another sink: it would believe that it had written. */
  #ledgers(sinks: ReadonlyMap<string, string>): PlanMapping['ledgers'] {
    const taken = new Set(this.#before.sinks.map(({ ledger }) => ledger));
    const names = this.#now.sinks.map(({ id }) => {
      const former = sinks.get(id);
      if (former !== undefined) return [id, sinkOf(this.#before, former).ledger] as const;
      return [id, taken.has(id) ? `${id}@${this.#options.batch + 1}` : id] as const;
    });
    return Object.fromEntries(names.filter(([id, ledger]) => id !== ledger));
  }

  #sourceHazard(): string | null {
    const { sources } = this.#before;
    const by = new Map([...this.#sources].map(([id, former]) => [former, id]));
    for (const { id, watermark } of sources) {
      const now = by.get(id);
      if (now === undefined) return `source "${id}" is gone`;
      if (now !== id) return `source "${id}" is called "${now}" now`;
      const same = this.#now.sources.find((source) => source.id === now);
      if (same?.watermark !== watermark)
        return `source "${id}" has another event time or watermark`;
      const had = stageOfSource(this.#before, id).partitions;
      const has = stageOfSource(this.#now, id).partitions;
      // They would hold watermarks back in micro-batches that are visible already.
      if (has > had) return `source "${id}" had ${had} partitions and has ${has} now`;
    }
    return null;
  }

  /** With other sources behind it, an operator closes its windows in other micro-batches. */
  #inputHazard(kept: ReadonlyMap<string, string>): string | null {
    for (const [id, former] of kept) {
      const was = sourcesBehind(this.#before, keeperOf(keepersOf(this.#before), former).stage);
      const is = sourcesBehind(this.#now, keeperOf(keepersOf(this.#now), id).stage);
      const more = [...is].find((source) => !was.has(this.#sources.get(source) ?? ''));
      if (more !== undefined) return `operator "${id}" takes rows of "${more}", too, now`;
      if (is.size < was.size) return `operator "${id}" takes rows of fewer sources now`;
    }
    return null;
  }

  /** A ledger is one of a partition: with others, its number says nothing of their rows. */
  #sinkHazard(
    sinks: ReadonlyMap<string, string>,
    names: ReadonlyMap<string, string>,
  ): string | null {
    for (const [id, former] of sinks) {
      const was = sinkOf(this.#before, former).feeds;
      const is = sinkOf(this.#now, id).feeds;
      const isSame =
        was.length === is.length &&
        was.every(({ from, partitions }, index) => {
          const other = is[index]!;
          return partitions === other.partitions && (names.get(other.from) ?? other.from) === from;
        });
      if (!isSame) {
        return `sink "${id}" is written ${feedsText(is)} now, and was written ${feedsText(was)}`;
      }
    }
    return null;
  }
}

function feedsText(feeds: SinkStructure['feeds']): string {
  return feeds
    .map(
      ({ from, partitions }) =>
        `by ${partitions} partition${partitions === 1 ? '' : 's'} of "${from}"`,
    )
    .join(' and ');
}

/** The first difference for people, to follow the operator's name; null: the state fits. */
function stateDifference(was: StateStructure, is: StateStructure): string | null {
  return (
    listDifference('key', was.keys, is.keys) ??
    textDifference('windows', was.window, is.window) ??
    textDifference('event time', was.time, is.time) ??
    textDifference('allowed lateness', was.lateness, is.lateness) ??
    listDifference('aggregate', was.aggregates, is.aggregates) ??
    listDifference('broadcast column', was.columns, is.columns)
  );
}

function textDifference(what: string, was: string, is: string): string | null {
  if (was === is) return null;
  return `had ${what} ${was === '' ? 'none' : was}, and has ${is === '' ? 'none' : is} now`;
}

function listDifference(
  what: string,
  was: readonly NamedText[],
  is: readonly NamedText[],
): string | null {
  for (let index = 0; index < Math.max(was.length, is.length); index++) {
    const [before, now] = [was[index], is[index]];
    if (before === undefined) return `has the ${what} ${printed(now!)}, which it had not`;
    if (now === undefined) return `had the ${what} ${printed(before)}, and has it no more`;
    // Columns of a row that is kept go by name.
    const isNamed = what !== 'broadcast column' || before.name === now.name;
    if (isNamed && fits(before.text, now.text)) continue;
    return `had the ${what} ${printed(before)}, and has ${printed(now)} now`;
  }
  return null;
}

/** What could not be null and now may be is kept in the same way. */
function fits(was: string, is: string): boolean {
  return was === is || `${was}?` === is;
}

function printed({ name, text }: NamedText): string {
  return text === name ? name : `${name} = ${text}`;
}

function keepersOf({ stages }: PlanStructure): readonly Keeper[] {
  return stages.flatMap((stage) => {
    const [root] = stage.operators;
    if (stage.source !== null || root === undefined || root.state === null) return [];
    return [{ stage, operator: { ...root, state: root.state } }];
  });
}

function keeperOf(keepers: readonly Keeper[], id: string): Keeper {
  const found = keepers.find(({ operator }) => operator.id === id);
  assert(found !== undefined, `there is an operator with state ${id}`);
  return found;
}

function withState({ operator }: Keeper): { readonly id: string; readonly content: string } {
  const { id, kind, state } = operator;
  const texts = (list: readonly NamedText[]): readonly string[] => list.map(({ text }) => text);
  const { window, time, lateness } = state;
  const lists = [texts(state.keys), texts(state.aggregates), state.columns];
  return { id, content: JSON.stringify([kind, window, time, lateness, ...lists]) };
}

export function stageOfSource({ stages }: PlanStructure, source: string): StageStructure {
  const found = stages.find((stage) => stage.source === source);
  assert(found !== undefined, `a stage reads the source ${source}`);
  return found;
}

function sinkOf({ sinks }: PlanStructure, id: string): SinkStructure {
  const found = sinks.find((sink) => sink.id === id);
  assert(found !== undefined, `there is a sink ${id}`);
  return found;
}

/** The sources whose rows come to a stage, on whatever way. */
function sourcesBehind({ stages }: PlanStructure, of: StageStructure): ReadonlySet<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  const follow = ({ source, inputs }: StageStructure): void => {
    if (source !== null) found.add(source);
    for (const input of inputs) {
      if (seen.has(input)) continue;
      seen.add(input);
      const stage = stages.find((each) => (each.source ?? each.operators[0]?.id) === input);
      if (stage !== undefined) follow(stage);
    }
  };
  follow(of);
  return found;
}
