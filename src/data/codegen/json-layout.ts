// The layouts that a scan has learned from the records it read: an automaton whose edges are the
// text between one value and the next. Its states are members of objects on wanted paths, so
// optional members and other orders add edges and not whole layouts. It is bounded; what it does
// not hold is read by `JsonReader`.

import type { LayoutStep } from './json-reader.ts';
import { edgePlace, scanMemory, seenBit } from './json-scan-memory.ts';
import { asciiText } from './number-text.ts';

/** Edges that are tried after one value, one after the other. */
const edgesOfStateMax = 32;
/** Pairs of 16 bytes and their mask that one text may take. */
const pairsMax = 16;
/** Reads in vain, since the last new edge, after which learning is tried only now and then. */
const patience = 256;
const retryInterval = 1024;
/** Such reads before a full table is emptied for the first time; four times more for each next. */
const emptyInterval = 65_536;

type Edge = {
  readonly text: Uint8Array;
  readonly action: number;
  readonly seen: bigint;
  readonly target: State;
};

type State = { readonly edges: Edge[] };

export class JsonLayout {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly actions: ReadonlyMap<string, number>;
  /** The index of the one field of each wanted member, or -1. */
  private readonly fieldOfNode: readonly number[];
  private readonly states = new Map<string, State>();
  private readonly root: State = { edges: [] };
  private size = 0;
  private isChanged = false;
  private vain = 0;
  private emptyAt = emptyInterval;

  constructor(
    buffer: ArrayBuffer,
    actions: ReadonlyMap<string, number>,
    fieldOfNode: readonly number[],
  ) {
    this.view = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
    this.actions = actions;
    this.fieldOfNode = fieldOfNode;
    this.clear();
  }

  /** Whether the next record that the scan left over is worth learning from. */
  wantsRecord(): boolean {
    if (this.vain < patience) return true;
    this.vain += 1;
    if (this.vain % retryInterval !== 0) return false;
    if (!this.isFull(pairsMax)) return true;
    // The layouts of a stream change over time: a full table makes room for those of today. Members
    // without number would fill it again at once, so each next time comes later.
    if (this.vain < this.emptyAt) return false;
    this.emptyAt *= 4;
    this.clear();
    return true;
  }

  /** Adds the edges of the good record [from, lineEnd], whose last byte is its newline. */
  learn(
    input: Uint8Array,
    record: {
      readonly from: number;
      readonly lineEnd: number;
      readonly steps: readonly LayoutStep[];
    },
  ): void {
    this.isChanged = false;
    this.follow(input, record);
    this.vain = this.isChanged ? 0 : this.vain + 1;
    if (this.isChanged) this.write();
  }

  private follow(
    input: Uint8Array,
    record: {
      readonly from: number;
      readonly lineEnd: number;
      readonly steps: readonly LayoutStep[];
    },
  ): void {
    let state = this.root;
    let before = record.from;
    let seen = 0n;
    let seenAll = 0n;
    for (const step of record.steps) {
      if (step.node > 0) {
        const bit = seenBit(step.node);
        // The scan leaves records with a wanted member twice to the reader.
        if ((seenAll & bit) !== 0n) return;
        seenAll |= bit;
        seen |= bit;
      }
      if (step.kind === 'open') continue;
      const field = step.node > 0 ? this.fieldOfNode[step.node]! : -1;
      const isMember = step.node > 0;
      const key = isMember ? this.memberAction(field, step) : skipAction(step);
      const isWord = isMember && isWordForm(step) && !this.isJsonText(field, step);
      const textEnd = isWord ? step.end : step.form === 'string' ? step.start + 1 : step.start;
      const action = this.actions.get(key);
      if (action === undefined || step.keyEnd - step.keyStart > 64) return;
      const name = `${step.parent}:${asciiText(input, step.keyStart, step.keyEnd)}`;
      const target = this.stateNamed(name);
      const text = input.slice(before, textEnd);
      if (!this.add(state, { text, action, seen, target })) return;
      state = target;
      before = step.end;
      seen = 0n;
    }
    const text = input.slice(before, record.lineEnd + 1);
    this.add(state, { text, action: this.actions.get('end')!, seen, target: this.root });
  }

  /** What to do with a wanted member; one on the way to fields is skipped if it is no object. */
  private memberAction(field: number, { form }: LayoutStep): string {
    if (field >= 0) return `${field}:${form}`;
    // Not `skip:value`: that would also pass an object, whose members are wanted.
    return form === 'string' || form === 'null' ? `skip:${form}` : 'none';
  }

  /** A json column holds the words true and false as text; null is null in every column. */
  private isJsonText(field: number, step: LayoutStep): boolean {
    return step.form !== 'null' && this.actions.has(`${field}:nested`);
  }

  private stateNamed(name: string): State {
    let state = this.states.get(name);
    if (state === undefined) {
      state = { edges: [] };
      this.states.set(name, state);
    }
    return state;
  }

  /** Adds the edge unless it is there; false when there is no room for it. */
  private add(state: State, edge: Edge): boolean {
    const isThere = state.edges.some(
      (other) =>
        other.action === edge.action &&
        other.target === edge.target &&
        isSame(other.text, edge.text),
    );
    if (isThere) return true;
    const pairs = Math.max(1, Math.ceil(edge.text.length / 16));
    if (pairs > pairsMax || state.edges.length === edgesOfStateMax || this.isFull(pairs)) {
      return false;
    }
    state.edges.push(edge);
    this.size += edgeBytes(pairs);
    this.isChanged = true;
    return true;
  }

  private isFull(pairs: number): boolean {
    return scanMemory.edges + this.size + edgeBytes(pairs) > scanMemory.edgesEnd;
  }

  private clear(): void {
    this.states.clear();
    this.root.edges.length = 0;
    // The word that points to the first edge, and the edge that fits always and gives up.
    this.size = 16 + edgeBytes(1);
    this.vain = 0;
    this.write();
  }

  private write(): void {
    const giveUp = scanMemory.edges + 16;
    const places = new Map<Edge, number>();
    let end = giveUp + edgeBytes(1);
    const states = [this.root, ...this.states.values()];
    for (const edge of states.flatMap(({ edges }) => edges)) {
      places.set(edge, end);
      end += edgeBytes(Math.max(1, Math.ceil(edge.text.length / 16)));
    }
    const firstOf = (state: State): number => places.get(state.edges[0]!) ?? giveUp;
    this.bytes.fill(0, scanMemory.edges, scanMemory.edges + this.size);
    this.view.setInt32(scanMemory.edges, firstOf(this.root), true);
    for (const { edges } of states) {
      for (const [index, edge] of edges.entries()) {
        const alternative = places.get(edges[index + 1]!) ?? giveUp;
        this.writeEdge(places.get(edge)!, edge, { next: firstOf(edge.target), alternative });
      }
    }
  }

  private writeEdge(
    place: number,
    edge: Edge,
    follow: { readonly next: number; readonly alternative: number },
  ): void {
    const { view, bytes } = this;
    const { text } = edge;
    view.setInt32(place + edgePlace.length, text.length, true);
    view.setInt32(place + edgePlace.action, edge.action, true);
    view.setInt32(place + edgePlace.next, follow.next, true);
    view.setInt32(place + edgePlace.alternative, follow.alternative, true);
    view.setBigUint64(place + edgePlace.seen, edge.seen, true);
    view.setInt32(place + edgePlace.extraPairs, Math.ceil(text.length / 16) - 1, true);
    for (let i = 0; i < text.length; i += 1) {
      const pair = place + edgePlace.text + (i >> 4) * 32 + (i & 15);
      bytes[pair] = text[i]!;
      bytes[pair + 16] = 255;
    }
  }
}

function isWordForm({ form }: LayoutStep): boolean {
  return form === 'true' || form === 'false' || form === 'null';
}

function skipAction(step: LayoutStep): string {
  return step.form === 'string' ? 'skip:string' : 'skip:value';
}

function edgeBytes(pairs: number): number {
  return edgePlace.text + pairs * 32;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
