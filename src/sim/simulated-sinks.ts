// What a simulation can see from outside: the rows of all sinks, each sink partition with its
// ledger. A commit is atomic with its ledger entry; whoever opens a partition fences those before.

import { assert } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Commit } from './task-runner.ts';

export class SimulatedSinks {
  /** In the order in which they became visible. */
  readonly visible: Commit[] = [];
  /** What came out otherwise the second time. */
  readonly differences: string[] = [];
  readonly #owners = new Map<string, { readonly writer: string; readonly since: number }>();
  readonly #ledgers = new Map<string, number>();
  readonly #rows = new Map<string, string>();
  readonly #anyOrder: boolean;

  /**
   * `anyOrder`: rows of a micro-batch may come in another order the second time; and where some
   * came late, others may be late then, so that differences are for the caller to judge.
   */
  constructor(anyOrder: boolean) {
    this.#anyOrder = anyOrder;
  }

  /** Another run writes from now on; its term fences all that were there. */
  reopen(): void {
    this.#owners.clear();
  }

  /** Fences all writers of older placements; one of them cannot open it any more. */
  open(place: string, writer: string, since: number): void {
    const owner = this.#owners.get(place);
    if (owner === undefined || since >= owner.since) this.#owners.set(place, { writer, since });
  }

  /** `known`: it is visible already; `fenced`: another writer has opened the partition since. */
  commit(writer: string, commit: Commit): 'visible' | 'known' | 'fenced' {
    const place = `${commit.sink}/${commit.partition}`;
    if (this.#owners.get(place)?.writer !== writer) return 'fenced';
    const name = `${place}@${commit.batch}`;
    const texts = commit.rows.map(canonicalJson);
    const rows = (this.#anyOrder ? texts.sort() : texts).join('\n');
    if (commit.batch <= (this.#ledgers.get(place) ?? -1)) {
      const before = this.#rows.get(name);
      const differs = `${name} is ${rows}, but was seen as ${before ?? 'nothing'}`;
      if (this.#anyOrder && before !== rows) this.differences.push(differs);
      else assert(before === rows, differs);
      return 'known';
    }
    this.#ledgers.set(place, commit.batch);
    this.#rows.set(name, rows);
    this.visible.push(commit);
    return 'visible';
  }
}
