// Links between the driver and the workers. Each link keeps its order and has a delay of its own,
// so that messages of different links overtake each other; some arrive a second time, later.

import { assert } from '../base/assert.ts';
import type { Random } from '../base/random.ts';
import type {
  DriverMessage,
  Peer,
  PeerMessage,
  WorkerMessage,
} from '../control/protocol/messages.ts';
import type { VirtualClock } from './virtual-clock.ts';

export type Message = DriverMessage | WorkerMessage | PeerMessage;

export type NetworkModel = {
  /** Every link draws its usual delay from [0, delayMsMax), and every message a share of it. */
  readonly delayMsMax: number;
  /** Share of messages that take ten times as long; what follows them on the link waits. */
  readonly stallChance: number;
  /** Share of messages that arrive twice. */
  readonly repeatChance: number;
};

export type Receive = (from: Peer, message: Message) => void;

type Link = { readonly delayMs: number; arrivalMs: number };

export class Network {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #model: NetworkModel;
  readonly #receivers = new Map<Peer, Receive>();
  readonly #links = new Map<string, Link>();
  /** By sender that is gone: what would arrive later is lost with its connections, ms. */
  readonly #cutMs = new Map<Peer, number>();

  constructor(clock: VirtualClock, random: Random, model: NetworkModel) {
    this.#clock = clock;
    this.#random = random;
    this.#model = model;
  }

  attach(peer: Peer, receive: Receive): void {
    this.#receivers.set(peer, receive);
  }

  /** The connections of a peer break: some of what it has sent still arrives. */
  cut(peer: Peer): void {
    this.#cutMs.set(peer, this.#clock.nowMs + this.#random.float() * this.#model.delayMsMax);
  }

  send(from: Peer, to: Peer, message: Message): void {
    const receive = this.#receivers.get(to);
    assert(receive !== undefined, `a message to ${to}, whom nobody knows`);
    assert(from !== to, `${from} sends itself a message`);
    const link = this.#link(`${from}>${to}`);
    const arrivalMs = Math.max(this.#clock.nowMs + this.#delayMs(link), link.arrivalMs + gapMs);
    link.arrivalMs = arrivalMs;
    const arrive = (): void => {
      if (this.#clock.nowMs < (this.#cutMs.get(from) ?? Infinity)) receive(from, message);
    };
    this.#clock.at(arrivalMs, arrive);
    if (!this.#random.chance(this.#model.repeatChance)) return;
    const againMs = arrivalMs + this.#random.float() * repeatMsMax;
    this.#clock.at(againMs, arrive);
  }

  #link(name: string): Link {
    let link = this.#links.get(name);
    if (link === undefined) {
      link = { delayMs: this.#random.float() * this.#model.delayMsMax, arrivalMs: 0 };
      this.#links.set(name, link);
    }
    return link;
  }

  #delayMs(link: Link): number {
    const delayMs = link.delayMs * (0.5 + this.#random.float());
    return this.#random.chance(this.#model.stallChance) ? 10 * delayMs : delayMs;
  }
}

/** Between two messages of a link: keeps their order apart from ties. */
const gapMs = 1e-6;

const repeatMsMax = 100;
