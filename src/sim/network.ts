// Links between the driver and the lives of workers. Each link keeps its order and has a delay of
// its own, so that messages of different links overtake each other; some arrive a second time,
// later. A link that breaks loses what is under way and carries nothing any more.

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
  /** How much later such a copy arrives at most, ms. */
  readonly repeatMsMax: number;
};

export type Receive = (from: Peer, message: Message) => void;

/** Whatever sends and receives: the driver, or one life of a worker. */
export type Endpoint = {
  readonly peer: Peer;
  readonly receive: Receive;
  /** It is gone with its connections: of what it had sent, what would come later is lost, ms. */
  goneMs: number;
  readonly links: Map<Endpoint, Link>;
};

type Link = {
  readonly delayMs: number;
  arrivalMs: number;
  /** What would arrive later is lost, ms. */
  brokenMs: number;
};

export class Network {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #model: NetworkModel;
  /** The life of each that the driver knows, and that others therefore reach by its name. */
  readonly #endpoints = new Map<Peer, Endpoint>();

  constructor(clock: VirtualClock, random: Random, model: NetworkModel) {
    this.#clock = clock;
    this.#random = random;
    this.#model = model;
  }

  attach(peer: Peer, receive: Receive): Endpoint {
    const endpoint = { peer, receive, goneMs: Infinity, links: new Map<Endpoint, Link>() };
    if (!this.#endpoints.has(peer)) this.#endpoints.set(peer, endpoint);
    return endpoint;
  }

  /** The driver has heard of a next life: connections lead to it from now on. */
  announce(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.peer, endpoint);
  }

  /** The connections of one that is gone break: some of what it has sent still arrives. */
  cut(endpoint: Endpoint): void {
    endpoint.goneMs = Math.min(endpoint.goneMs, this.#soonMs());
  }

  /** What is under way from one to the other is lost in part, and all that is sent from now on. */
  break(from: Endpoint, to: Endpoint): void {
    const link = this.#link(from, to);
    link.brokenMs = Math.min(link.brokenMs, this.#soonMs());
  }

  /** What is sent from one to the other arrives after this time, ms; what is under way arrives. */
  hold(from: Endpoint, to: Endpoint, untilMs: number): void {
    const link = this.#link(from, to);
    link.arrivalMs = Math.max(link.arrivalMs, untilMs);
  }

  send(from: Endpoint, to: Peer, message: Message): void {
    const receiver = this.#endpoints.get(to);
    assert(receiver !== undefined, `a message to ${to}, whom nobody knows`);
    this.sendTo(from, receiver, message);
  }

  /** Over a connection that is there already. */
  sendTo(from: Endpoint, receiver: Endpoint, message: Message): void {
    const to = receiver.peer;
    assert(from !== receiver, `${to} sends itself a message`);
    const link = this.#link(from, receiver);
    const { nowMs } = this.#clock;
    const arrivalMs = Math.max(nowMs + this.#delayMs(link), link.arrivalMs + gapMs);
    link.arrivalMs = arrivalMs;
    this.#arriveAt(arrivalMs, { from, receiver, link, message });
    if (!this.#random.chance(this.#model.repeatChance)) return;
    const againMs = arrivalMs + this.#random.float() * this.#model.repeatMsMax;
    this.#arriveAt(againMs, { from, receiver, link, message });
  }

  #arriveAt(
    atMs: number,
    way: {
      readonly from: Endpoint;
      readonly receiver: Endpoint;
      readonly link: Link;
      readonly message: Message;
    },
  ): void {
    this.#clock.at(atMs, () => {
      const { from, receiver, link, message } = way;
      if (atMs < from.goneMs && atMs < link.brokenMs) receiver.receive(from.peer, message);
    });
  }

  #soonMs(): number {
    return this.#clock.nowMs + this.#random.float() * this.#model.delayMsMax;
  }

  #link(from: Endpoint, to: Endpoint): Link {
    let link = from.links.get(to);
    if (link === undefined) {
      const delayMs = this.#random.float() * this.#model.delayMsMax;
      from.links.set(to, (link = { delayMs, arrivalMs: 0, brokenMs: Infinity }));
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
