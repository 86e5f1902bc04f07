// Whom a worker listens to: the lives that the last round named, and among those nobody whom it has
// refused since it carried out a round's order, for what they had said meanwhile is missing here.

import type { Incarnation, PlacementVersion, WorkerId } from '../protocol/ids.ts';
import type { WorkerLife } from '../protocol/messages.ts';
import type { IgnoreReason } from './events.ts';

/** What a message of a peer says of itself. */
export type Signed = { readonly incarnation: Incarnation; readonly version: PlacementVersion };

export class Membership {
  /** The latest life of each peer that has spoken. */
  readonly #incarnations = new Map<WorkerId, Incarnation>();
  /** Whose voice counts; null: everybody's, for nobody was lost yet. */
  #members: ReadonlyMap<WorkerId, Incarnation> | null = null;
  readonly #refused = new Map<WorkerId, Incarnation>();
  /** Whom the last order was for, and the placement that it brought. */
  #placed: {
    readonly members: ReadonlyMap<WorkerId, Incarnation>;
    readonly version: PlacementVersion;
  } | null = null;

  /** Lives that were refused since the last round's order. */
  get refused(): readonly WorkerLife[] {
    return Array.from(this.#refused, ([worker, incarnation]) => ({ worker, incarnation }));
  }

  /** Why a message is ignored; null: it is heard. `placement`: the one in force; -1: none. */
  refusal(from: WorkerId, signed: Signed, placement: number): IgnoreReason | null {
    const { incarnation } = signed;
    if (!this.listensTo(from, signed, placement)) {
      this.#refused.set(from, incarnation);
      return 'not-a-member';
    }
    const life = this.#incarnations.get(from);
    if (life !== undefined && incarnation < life) return 'old-incarnation';
    this.#incarnations.set(from, incarnation);
    return null;
  }

  listensTo(from: WorkerId, { incarnation, version }: Signed, placement: number): boolean {
    if (this.#members === null) return true;
    if (this.#members.get(from) !== incarnation) return false;
    // Whom an order left out, others have replaced: nothing counts that it did by an older one,
    // even if a later driver takes it for a member.
    const isPlaced = this.#placed === null || this.#placed.members.get(from) === incarnation;
    if (!isPlaced && version <= this.#placed!.version) return false;
    // By a newer placement speaks who has carried out an order that makes good what is missing.
    return version > placement || this.#refused.get(from) !== incarnation;
  }

  /** A round asks: from now on nobody else counts. */
  restrictTo(members: readonly WorkerLife[]): void {
    const before = this.#members ?? this.#incarnations;
    const now = new Map(members.map(({ worker, incarnation }) => [worker, incarnation]));
    this.#members = now;
    for (const [worker, incarnation] of before) {
      if (now.get(worker) !== incarnation) this.#refused.set(worker, incarnation);
    }
  }

  /** A round's order makes good what was not heard of its members. */
  settle(version: PlacementVersion): void {
    if (this.#members !== null) this.#placed = { members: this.#members, version };
    this.#refused.clear();
  }

  /** It is none of those that the last round named. */
  isDead({ worker, incarnation }: WorkerLife): boolean {
    return this.#members !== null && this.#members.get(worker) !== incarnation;
  }

  /** A later life of a worker has nothing of what the one before it had. */
  isLost(owner: WorkerId): boolean {
    const member = this.#members?.get(owner);
    if (member === undefined) return this.#members !== null;
    return (this.#incarnations.get(owner) ?? member) < member;
  }
}
