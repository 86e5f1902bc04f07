// What goes wrong in a simulated cluster, and when. Each seed turns on some kinds of faults only,
// so that rare combinations come up (swarm testing: Groce et al., ISSTA 2012).

import type { Random } from '../base/random.ts';
import { drawSpill } from './simulated-spill.ts';
import type { SpillModel } from './simulated-spill.ts';

/**
 * What happens next, at a moment, strikes whoever it happens to, before anybody hears of it.
 * The last five are the driver's; they strike any worker.
 */
const drawnMoments = [
  'task-run',
  'source-ended',
  'blocks-sent',
  'range-logged',
  'output-visible',
  'snapshot-stored',
  'status-sent',
  'state-restored',
  'ranges-ordered',
  'recover-sent',
  'snapshots-heard',
  'checkpoint-ordered',
  'checkpoint-durable',
] as const;

/** Drawn by themselves, behind all others: what older seeds draw stays the same. */
const spillMoments = ['blocks-spilled', 'blocks-read'] as const;

/** A worker begins another micro-batch while blocks that it is to send again are still on disk. */
type ResendMoment = 'sent-while-reading';

export type Moment = (typeof drawnMoments)[number] | (typeof spillMoments)[number] | ResendMoment;

/** Times are ms since the start; victims are given as a share of the workers that are alive. */
export type Fault =
  | ({
      /** The worker is gone with all it had. */
      readonly kind: 'crash';
      readonly victim: number;
      /** It crashes the next time that this happens; null: at once. */
      readonly at: Moment | null;
    } & Loss)
  | {
      /** The worker stands still and then goes on; meanwhile it may be declared dead. */
      readonly kind: 'pause';
      readonly afterMs: number;
      readonly victim: number;
      readonly forMs: number;
      /** The driver gives it up after this time, ms; null: it does not notice. */
      readonly detectMs: number | null;
      readonly back: Back | null;
    }
  | ({
      /** The driver takes a worker for dead that is well. */
      readonly kind: 'suspicion';
      readonly victim: number;
    } & Loss)
  | ({
      /** The connection of two breaks: what is under way is lost, and nothing passes any more. */
      readonly kind: 'broken-link';
      readonly victim: number;
      /** A share of the other workers and the driver. */
      readonly other: number;
      /** From the victim to the other, or both ways. */
      readonly oneWay: boolean;
    } & Loss)
  | {
      /** For a time nothing passes from one to another; then all arrives, in order. */
      readonly kind: 'partition';
      readonly afterMs: number;
      readonly victim: number;
      readonly other: number;
      /** From the victim to the other, or the other way. */
      readonly outward: boolean;
      readonly forMs: number;
    }
  | {
      readonly kind: 'slow-store';
      readonly afterMs: number;
      readonly forMs: number;
      readonly factor: number;
    }
  | {
      /** What cannot wait fails; logs and reads are tried again until they succeed. */
      readonly kind: 'failing-store';
      readonly afterMs: number;
      readonly forMs: number;
    }
  /** Nothing becomes durable in a range log. */
  | { readonly kind: 'stalled-logs'; readonly afterMs: number; readonly forMs: number }
  | { readonly kind: 'stalled-driver'; readonly afterMs: number; readonly forMs: number }
  | {
      /** A worker's clock is set, within the bounds of skew. */
      readonly kind: 'clock-jump';
      readonly afterMs: number;
      readonly victim: number;
      /** -1: as far behind the driver's as it may be; 1: as far ahead. */
      readonly to: number;
    }
  | { readonly kind: 'join'; readonly afterMs: number }
  | {
      /** Another driver takes over, with the workers that come to it. */
      readonly kind: 'driver-loss';
      readonly afterMs: number;
      /** The old one goes on for so long without knowing, ms; 0: it crashes. */
      readonly zombieMs: number;
      /** Until there is a new one, ms. */
      readonly backMs: number;
      /** Workers find it within this time, ms, from when they can. */
      readonly returnMsMax: number;
      /** For so long it waits for more of them, ms. */
      readonly waitMs: number;
    };

type Loss = {
  readonly afterMs: number;
  /** From the fault until the driver hears of it, ms. */
  readonly detectMs: number;
  readonly back: Back | null;
};

/** Another worker joins, or the same one in its next life. */
export type Back = { readonly afterMs: number; readonly sameWorker: boolean };

export type FaultModel = {
  readonly faults: readonly Fault[];
  readonly checkpointIntervalMs: number;
  /** Workers join within this time, ms. */
  readonly joinMsMax: number;
  /** Absent, null: there is room for all that is kept. */
  readonly spill?: SpillModel | null;
};

export const faultKinds = [
  'crash',
  'pause',
  'suspicion',
  'broken-link',
  'partition',
  'slow-store',
  'failing-store',
  'stalled-driver',
  'clock-jump',
  'join',
  'driver-loss',
] as const satisfies readonly Fault['kind'][];

export function drawFaults(random: Random): FaultModel {
  const chance = random.pick([0.3, 0.5, 0.8]);
  // Drawn at the end, so that what a seed had drawn before is the same.
  const kinds = faultKinds.filter((kind) => kind !== 'driver-loss' && random.chance(chance));
  // Losses are what recovery is about.
  const losses = kinds.filter((kind) => kind === 'crash' || kind === 'suspicion');
  const pool = [...kinds, ...losses, ...losses];
  const spreadMs = random.pick([30, 100, 100, 300, 1000]);
  const detectMsMax = random.pick([1, 20, 200, 1000]);
  // Most seeds are moderate; some are storms.
  const count = random.integer(1, random.pick([2, 4, 4, 8, 12]));
  // Two things that happen at once are rarer than one after the other, and worse.
  const togetherMs = random.chance(0.3) ? random.float() * spreadMs : null;
  const faults: Fault[] = Array.from({ length: pool.length > 0 ? count : 0 }, () => {
    const kind = pool[random.integer(0, pool.length - 1)]!;
    const atMs = random.float() * spreadMs;
    const together = togetherMs !== null && random.chance(0.5);
    const afterMs = together ? togetherMs + 2 * random.float() : atMs;
    return drawFault(random, kind, { afterMs, detectMsMax });
  });
  const checkpointIntervalMs = random.pick([1, 20, 100, 1000]);
  const joinMsMax = random.pick([0, 0, 0, 50]);
  const driverLosses = random.pick([0, 0, 1, 1, 2]);
  for (let count = 0; count < driverLosses; count++) {
    const at = togetherMs !== null && random.chance(0.5) ? togetherMs : random.float() * spreadMs;
    faults.push(drawFault(random, 'driver-loss', { afterMs: at, detectMsMax }));
  }
  const spill = drawSpill(random);
  if (spill !== null) faults.push(...drawSpillCrashes(random, { spreadMs, detectMsMax }));
  // Most seeds stay what they were before there was any of this.
  const isPlain = random.chance(0.8);
  if (!isPlain && random.chance(0.7)) {
    const afterMs = random.float() * spreadMs;
    faults.push({ kind: 'stalled-logs', afterMs, forMs: random.pick([100, 1000]) });
  }
  if (isPlain || spill === null) return { faults, checkpointIntervalMs, joinMsMax, spill };
  const limits = { ...spill.limits, loadBytesMax: random.pick([1, 300, 1e9]) };
  if (random.chance(0.7)) {
    const loss = { afterMs: random.float() * spreadMs, detectMs: random.float() * detectMsMax };
    const victim = random.float();
    faults.push({ kind: 'crash', victim, at: 'sent-while-reading', ...loss, back: null });
  }
  return { faults, checkpointIntervalMs, joinMsMax, spill: { ...spill, limits } };
}

/** Ends of workers while blocks are on their way to the disk, or back. */
function drawSpillCrashes(
  random: Random,
  { spreadMs, detectMsMax }: { readonly spreadMs: number; readonly detectMsMax: number },
): readonly Fault[] {
  return Array.from({ length: random.pick([0, 0, 1, 2]) }, (): Fault => {
    const afterMs = random.float() * spreadMs;
    const loss = { afterMs, detectMs: random.float() * detectMsMax };
    const back = { afterMs: random.float() * 200, sameWorker: random.chance(0.4) };
    const at = random.pick(spillMoments);
    return { kind: 'crash', victim: random.float(), at, ...loss, back };
  });
}

function drawFault(
  random: Random,
  kind: (typeof faultKinds)[number],
  { afterMs, detectMsMax }: { readonly afterMs: number; readonly detectMsMax: number },
): Fault {
  const victim = random.float();
  // A connection that is reset is noticed at once, silence later.
  const detectMs = random.float() * (random.chance(0.5) ? 1 : detectMsMax);
  const back = random.chance(0.7)
    ? { afterMs: random.float() * 200, sameWorker: random.chance(0.4) }
    : null;
  const loss = { afterMs, detectMs, back };
  switch (kind) {
    case 'crash':
      return { kind, victim, at: random.chance(0.7) ? random.pick(drawnMoments) : null, ...loss };
    case 'pause': {
      const forMs = random.float() * random.pick([20, 400, 400, 3000]);
      return { kind, victim, forMs, ...loss, detectMs: random.chance(0.7) ? detectMs : null };
    }
    case 'suspicion':
      return { kind, victim, ...loss };
    case 'broken-link':
      return { kind, victim, other: random.float(), oneWay: random.chance(0.3), ...loss };
    case 'partition': {
      const forMs = random.float() * random.pick([20, 400, 3000]);
      const outward = random.chance(0.5);
      return { kind, victim, other: random.float(), outward, afterMs, forMs };
    }
    case 'slow-store': {
      const forMs = random.float() * random.pick([100, 1000]);
      return { kind, afterMs, forMs, factor: random.pick([3, 30]) };
    }
    case 'failing-store':
      return { kind, afterMs, forMs: random.float() * random.pick([20, 1000]) };
    case 'stalled-driver':
      return { kind, afterMs, forMs: random.float() * random.pick([20, 400, 3000]) };
    case 'clock-jump':
      return { kind, victim, afterMs, to: 2 * random.float() - 1 };
    case 'join':
      return { kind, afterMs };
    case 'driver-loss':
      return {
        kind,
        afterMs,
        zombieMs: random.chance(0.5) ? 0 : random.float() * random.pick([20, 400]),
        backMs: random.float() * random.pick([20, 400]),
        returnMsMax: random.pick([1, 50]),
        waitMs: random.pick([10, 100, 1000]),
      };
  }
}

/** When it is over, ms since the start: from then on only what it has left behind counts. */
export function overAfterMs(fault: Fault): number {
  const forMs = 'forMs' in fault ? fault.forMs : 0;
  const driverMs = fault.kind === 'driver-loss' ? fault.zombieMs + fault.backMs + fault.waitMs : 0;
  const detectMs = 'detectMs' in fault ? (fault.detectMs ?? 0) : 0;
  const backMs = 'back' in fault ? (fault.back?.afterMs ?? 0) : 0;
  return fault.afterMs + Math.max(forMs, detectMs + backMs, driverMs);
}

/** `crash after 12.3 ms of 0.45, at output-visible, …`: for people. */
export function faultText({ kind, ...rest }: Fault): string {
  const fields = Object.entries(rest).map(([name, value]) => {
    const text = JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === 'number' ? Number(inner.toPrecision(6)) : inner,
    );
    return `${name} ${text}`;
  });
  return `${kind}: ${fields.join(', ')}`;
}
