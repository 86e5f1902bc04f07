// Carries out the faults that were drawn: at their time, or at the moment that they wait for. The
// driver hears of a loss as it would from connections and heartbeats, and nothing else; whoever is
// to come back does so in a later life.

import { unreachable } from '../base/assert.ts';
import type { StreamErrorData } from '../base/stream-error.ts';
import type { DriverEvent } from '../control/driver/events.ts';
import type { Incarnation, WorkerId } from '../control/protocol/ids.ts';
import type { Back, Fault, Moment } from './faults.ts';
import { overAfterMs } from './faults.ts';
import type { Endpoint, Network } from './network.ts';
import type { SimulatedWorker } from './simulated-worker.ts';
import type { StoreConditions } from './store-conditions.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** One life of a worker. */
export type Member = {
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  readonly shell: SimulatedWorker;
  joined: boolean;
  /** The driver was told that it is lost, or has found out by itself. */
  lost: boolean;
  /** What it does from then on counts for nothing, ms; Infinity: it counts. */
  deadSinceMs: number;
  /** Its next life has begun, or will. */
  returned: boolean;
};

/** The cluster, as far as faults concern it. */
export type FaultHost = {
  readonly clock: VirtualClock;
  readonly network: Network;
  readonly stores: StoreConditions;
  /** The one that is in charge. */
  driver(): Endpoint;
  readonly skewMsMax: number;
  /** Lives that have joined, have not crashed, and that the driver has not given up. */
  living(): readonly Member[];
  ended(): boolean;
  /** A worker joins now: a new one, or the next life of one that was there before. */
  add(worker: WorkerId | null): void;
  /** Somebody must be there to go on: adds workers where there are too few. */
  ensureEnough(): void;
  tellDriver(event: DriverEvent): void;
  stallDriver(forMs: number): void;
  /** False: another driver is on its way already. */
  loseDriver(loss: Extract<Fault, { kind: 'driver-loss' }>): boolean;
};

export class FaultInjector {
  readonly #host: FaultHost;
  readonly #faults: readonly Fault[];
  /** Crashes that wait for their moment, by it. */
  readonly #waiting = new Map<Moment, Extract<Fault, { kind: 'crash' }>[]>();
  /** Faults that have happened, by kind. */
  readonly counts = new Map<string, number>();
  #overMs: number;

  constructor(host: FaultHost, faults: readonly Fault[]) {
    this.#host = host;
    this.#faults = faults;
    this.#overMs = host.clock.nowMs + Math.max(0, ...faults.map(overAfterMs));
  }

  /** From then on nothing goes wrong any more, unless a crash still waits for its moment, ms. */
  get overMs(): number {
    return this.#overMs;
  }

  start(): void {
    for (const fault of this.#faults) {
      this.#host.clock.after(fault.afterMs, () => {
        if (!this.#host.ended()) this.#befall(fault);
      });
    }
  }

  /** Something has happened of which nobody has heard yet; `member`: to whom, null: the driver. */
  onMoment(moment: Moment, member: Member | null): void {
    const waiting = this.#waiting.get(moment);
    if (waiting === undefined || waiting.length === 0 || this.#host.ended()) return;
    if (member !== null && (member.lost || member.shell.crashed)) return;
    const fault = waiting.shift()!;
    const victim = member ?? this.#pick(fault.victim);
    if (victim === undefined) return;
    this.#count(`crash at ${moment}`);
    this.#crash(victim, fault);
    this.#overMs = Math.max(this.#overMs, this.#host.clock.nowMs + overAfterMs(fault));
  }

  /** A worker ends by itself, since what it keeps cannot be read; another one takes its place. */
  onDamaged(victim: Member): void {
    this.#count('damaged block');
    const back = { afterMs: 1, sameWorker: false };
    this.#crash(victim, { detectMs: 1, back });
    this.#overMs = Math.max(this.#overMs, this.#host.clock.nowMs + 2);
  }

  #befall(fault: Fault): void {
    const { clock, network, stores, skewMsMax } = this.#host;
    switch (fault.kind) {
      case 'crash': {
        if (fault.at !== null) {
          const waiting = this.#waiting.get(fault.at) ?? [];
          this.#waiting.set(fault.at, [...waiting, fault]);
          return;
        }
        const victim = this.#pick(fault.victim);
        if (victim === undefined) return;
        this.#count(fault.kind);
        return this.#crash(victim, fault);
      }
      case 'pause': {
        const victim = this.#pick(fault.victim);
        if (victim === undefined) return;
        this.#count(fault.kind);
        victim.shell.pause(fault.forMs);
        const { detectMs, back } = fault;
        if (detectMs !== null) this.#lose(victim, { detectMs, back });
        return;
      }
      case 'suspicion': {
        const victim = this.#pick(fault.victim);
        if (victim === undefined) return;
        this.#count(fault.kind);
        return this.#lose(victim, fault);
      }
      case 'broken-link': {
        const victim = this.#pick(fault.victim);
        if (victim === undefined) return;
        const other = this.#other(victim, fault.other);
        this.#count(fault.kind);
        network.break(victim.shell.endpoint, other);
        if (!fault.oneWay) network.break(other, victim.shell.endpoint);
        // Two that cannot reach each other cannot go on: the driver gives up one of them.
        return this.#lose(victim, fault);
      }
      case 'partition': {
        const victim = this.#pick(fault.victim);
        if (victim === undefined) return;
        const { endpoint } = victim.shell;
        const other = this.#other(victim, fault.other);
        const [from, to] = fault.outward ? [endpoint, other] : [other, endpoint];
        this.#count(fault.kind);
        return network.hold(from, to, clock.nowMs + fault.forMs);
      }
      case 'slow-store':
        this.#count(fault.kind);
        return stores.slow(fault.forMs, fault.factor);
      case 'failing-store':
        this.#count(fault.kind);
        return stores.fail(fault.forMs);
      case 'stalled-logs':
        this.#count(fault.kind);
        return stores.stallLogs(fault.forMs);
      case 'stalled-driver':
        this.#count(fault.kind);
        return this.#host.stallDriver(fault.forMs);
      case 'clock-jump': {
        const victim = this.#pick(fault.victim);
        if (victim === undefined) return;
        this.#count(fault.kind);
        return victim.shell.setSkew(fault.to * skewMsMax);
      }
      case 'join':
        this.#count(fault.kind);
        return this.#host.add(null);
      case 'driver-loss':
        if (this.#host.loseDriver(fault)) this.#count(fault.kind);
        return;
      default:
        unreachable(fault);
    }
  }

  #crash(victim: Member, loss: { readonly detectMs: number; readonly back: Back | null }): void {
    victim.shell.crash();
    this.#host.network.cut(victim.shell.endpoint);
    this.#lose(victim, loss);
  }

  /** The driver hears of it later; and later, too, somebody takes the place of the victim. */
  #lose(
    victim: Member,
    { detectMs, back }: { readonly detectMs: number; readonly back: Back | null },
  ): void {
    const { clock } = this.#host;
    if (back?.sameWorker === false) clock.after(back.afterMs, () => this.#host.add(null));
    clock.after(detectMs, () => {
      if (!victim.lost) {
        victim.lost = true;
        this.#host.tellDriver({ kind: 'worker-lost', worker: victim.worker, error: lostError });
        this.#host.ensureEnough();
      }
      if (back?.sameWorker !== true || victim.returned) return;
      victim.returned = true;
      clock.after(back.afterMs, () => {
        victim.shell.crash();
        this.#host.add(victim.worker);
      });
    });
  }

  #pick(share: number): Member | undefined {
    const living = this.#host.living();
    return living[Math.floor(share * living.length)];
  }

  /** The driver, or a worker that is alive. */
  #other(victim: Member, share: number): Endpoint {
    const others = this.#host.living().filter((member) => member !== victim);
    const index = Math.floor(share * (others.length + 1));
    return others[index]?.shell.endpoint ?? this.#host.driver();
  }

  #count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }
}

export const lostError: StreamErrorData = {
  code: 'worker-lost',
  message: 'a worker was lost',
  hint: null,
  fields: {},
  stack: null,
};
