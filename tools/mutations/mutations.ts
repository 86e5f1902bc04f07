// Bugs that the simulator must find: each is a change of one place of the engine. They are put in
// when the file is loaded, so the engine itself knows nothing of them.
//
// Not here, because nothing can be seen of them: `range-logged` of an older placement (the log was
// read after it was written, so the recovery knows the range as durable), `output-committed` of one
// (the ledger makes a commit the same whoever asks), blocks of before a rollback (partitions that
// moved take only blocks that are sent to them since), the owners' share in a recovery's boundary
// (each of them counts everything before the last boundary as started), and sinks that fence nobody
// (the ledger's entry is in the commit, and what the dead may commit is durable: it is the same).

export type Mutation = {
  readonly name: string;
  readonly breaks: string;
  /** From the repository's root. */
  readonly file: string;
  /** Stands in the file once. */
  readonly text: string;
  readonly replacement: string;
};

const worker = 'src/control/worker/worker-machine.ts';
const driver = 'src/control/driver/driver-machine.ts';
const round = 'src/control/driver/recovery-round.ts';

export const mutations: readonly Mutation[] = [
  {
    name: 'hear-the-dead',
    breaks: 'blocks of a worker that was declared dead are taken',
    file: 'src/control/worker/membership.ts',
    text: 'if (!this.listensTo(from, signed, placement)) {',
    replacement: 'if (!this.listensTo(from, signed, placement) && placement < -1) {',
  },
  {
    name: 'answer-before-refusing',
    breaks: 'a worker says what it has while the dead can still add to it',
    file: worker,
    text: 'this.#round = round;\n    this.#listenTo(members);',
    replacement: 'this.#round = round;',
  },
  {
    name: 'start-after-status',
    breaks: 'a worker goes on starting micro-batches after it has said what it has',
    file: worker,
    text: 'null;\n    this.#permissions.promiseFrom((this.#startedThrough + 1) as BatchNumber);',
    replacement: 'null;',
  },
  {
    name: 'promise-again',
    breaks: 'a late copy of ask-status stops a worker after its recovery',
    file: worker,
    text: 'if (round < this.#round || round <= this.#recoveredRound) {',
    replacement: 'if (round < this.#round) {',
  },
  {
    name: 'send-copies-to-the-moved-only',
    breaks: 'a survivor never gets what the dead had sent to others only',
    file: 'src/control/worker/resending.ts',
    text: 'const partitions = this.neededBy(to, { stage, batch });',
    replacement: 'const partitions = this.neededBy(to, { stage, batch: -1 });',
  },
  {
    name: 'leave-out-what-the-log-may-not-hold-yet',
    breaks: 'ranges that came into the log behind what the driver read are chosen anew',
    file: worker,
    text: 'this.#kept.rangesOf(source, this.#retiredThrough)',
    replacement: 'this.#kept.rangesOf(source, source.durableThrough)',
  },
  {
    name: 'commit-before-durable',
    breaks: 'output is visible before the ranges behind it are durable',
    file: worker,
    text: 'if (task.batch <= this.#frontier!.through) this.#commitOutput(local, task);',
    replacement: 'if (task.batch >= 0) this.#commitOutput(local, task);',
  },
  {
    name: 'ungated-inner-blocks',
    breaks: 'blocks leave an inner stage before the ranges behind them are durable',
    file: worker,
    text: 'stages[stage]!.source ? Infinity : this.#frontier!.through;',
    replacement: 'stages[stage]!.source ? Infinity : Infinity;',
  },
  {
    name: 'frontier-of-an-old-placement',
    breaks: 'what was durable under an older placement counts under this one',
    file: 'src/control/worker/frontier.ts',
    text: 'if (version === this.#version && this.#heard.has(from))',
    replacement: 'if (version <= this.#version && this.#heard.has(from))',
  },
  {
    name: 'act-before-known-is-logged',
    breaks: 'ranges that only survivors know are used before they are durable',
    file: driver,
    text: "this.#unwritten.add('ranges');",
    replacement: '',
  },
  {
    name: 'choose-known-ranges-anew',
    breaks: 'ranges that survivors know and the log does not are chosen anew',
    file: round,
    text: 'if (all.ranges.length > 0) known.push(all);',
    replacement: 'if (logged.ranges.length > 0) known.push(logged);',
  },
  {
    name: 'wait-for-a-partition-that-moved',
    breaks: 'blocks that waited for one of a worker’s source partitions stay when it moves away',
    file: worker,
    text: 'this.#giveWaiting();',
    replacement: '',
  },
  {
    name: 'leave-the-log-open',
    breaks: 'a worker that was declared dead goes on writing to its range log',
    file: driver,
    text: 'const dead = this.#dead;\n    const after',
    replacement: 'const dead: readonly WorkerLife[] = [];\n    const after',
  },
  {
    name: 'keep-the-outdated',
    breaks: 'a driver goes on with workers that have missed what the one before it had decided',
    file: driver,
    text: 'if (version >= 0 && version < newest) outdated.add(worker);',
    replacement: '',
  },
  {
    name: 'keep-the-refused',
    breaks: 'a driver goes on with a worker that others had stopped listening to',
    file: driver,
    text: 'if (member?.incarnation === life.incarnation) outdated.add(life.worker);',
    replacement: '',
  },
  {
    name: 'listen-again',
    breaks: 'a worker listens again to one that it had refused',
    file: 'src/control/worker/membership.ts',
    text: 'return version > placement || this.#refused.get(from) !== incarnation;',
    replacement: 'return true;',
  },
  {
    name: 'drop-an-announcement',
    breaks: 'one worker is not told of the blocks of one micro-batch',
    file: 'src/control/worker/delivery.ts',
    text: 'if (consumer !== worker) host.give(consumer, blocks);',
    replacement: 'if (consumer !== worker && blocks.batch !== 5) host.give(consumer, blocks);',
  },
  {
    name: 'first-of-two-exchanges',
    breaks: 'a task runs when one of its input exchanges is complete',
    file: 'src/control/worker/inbox.ts',
    text: 'this.#incomplete--;',
    replacement: 'this.#incomplete = 0;',
  },
  {
    name: 'take-copies',
    breaks: 'a block that came before is taken again',
    file: 'src/control/worker/inbox.ts',
    text: 'if (part < next[index]!) return false;',
    replacement: '',
  },
  {
    name: 'wipe-kept-blocks',
    breaks: 'a recovery forgets the blocks that are kept for it',
    file: worker,
    text: 'if (fresh) this.#kept = new KeptBlocks(template.exchanges.length);',
    replacement: 'this.#kept = new KeptBlocks(template.exchanges.length);',
  },
  {
    name: 'resend-nothing',
    breaks: 'kept blocks are not sent to those who take partitions over',
    file: worker,
    text: 'this.#resend(recovery);\n',
    replacement: '\n',
  },
  {
    name: 'retire-what-is-done',
    breaks: 'blocks are released when they are done, and no checkpoint covers them',
    file: 'src/control/driver/group-planner.ts',
    text: 'retireThrough: context.checkpointed ?? ',
    replacement: 'retireThrough: ',
  },
  {
    name: 'retire-own-done',
    breaks: 'a worker releases the blocks that it has itself no use for any more',
    file: worker,
    text: 'const retired = Math.min(order.retireThrough, this.#doneThrough) as BatchNumber;',
    replacement: 'const retired = this.#doneThrough;',
  },
  {
    name: 'keep-for-ever',
    breaks: 'nothing that was kept is ever released',
    file: worker,
    text: 'this.#kept.retireThrough(through);',
    replacement: '',
  },
  {
    name: 'checkpoint-overtakes-sinks',
    breaks: 'a checkpoint counts before all output up to it is visible',
    file: 'src/control/driver/checkpoint-schedule.ts',
    text: 'if (doneThrough < pending.batch) return null;',
    replacement: '',
  },
  {
    name: 'recover-beside-a-checkpoint',
    breaks: 'a recovery does not wait for a checkpoint that may become durable meanwhile',
    file: driver,
    text: 'if (this.#checkpoints.committing) return;',
    replacement: '',
  },
  {
    name: 'part-of-a-checkpoint',
    breaks: 'a checkpoint counts though a worker has not stored its part',
    file: 'src/control/driver/checkpoint-schedule.ts',
    text: 'if (pending === null || pending.committing || pending.waiting.size > 0) return null;',
    replacement:
      'if (pending === null || pending.committing || pending.waiting.size > 1) return null;',
  },
  {
    name: 'wait-for-the-part-of-the-dead',
    breaks: 'a checkpoint under way is not given up when a worker is lost, and no other one comes',
    file: driver,
    text: 'this.#checkpoints.giveUp();',
    replacement: '',
  },
  {
    name: 'stage-of-an-old-placement',
    breaks: 'a stage that was done before a recovery counts as done after it',
    file: driver,
    text: "if (message.version !== this.#version) return this.#ignore('stage-done',",
    replacement: "if (message.version < 0) return this.#ignore('stage-done',",
  },
  {
    name: 'forget-what-ended',
    breaks: 'a source that ended before it moved is read on for ever',
    file: worker,
    text: 'if (ended) this.#onSourceEnded(local, { ...place(at),',
    replacement: 'if (at.stage < 0) this.#onSourceEnded(local, { ...place(at),',
  },
  {
    name: 'report-no-end-again',
    breaks: 'ends that were reported under the last placement are not reported again',
    file: worker,
    text: 'if (batch !== noBatch) this.#log.sourceEnded({ stage, partition, batch });',
    replacement: '',
  },
  {
    name: 'restore-nothing',
    breaks: 'partitions that moved begin with empty state behind a checkpoint',
    file: round,
    text: 'snapshots: checkpoint.snapshots.filter((snapshot) => needed.has(nameOf(snapshot))),',
    replacement: 'snapshots: [],',
  },
  {
    name: 'restore-one-too-early',
    breaks: 'partitions that moved begin a micro-batch before their state',
    file: round,
    text: 'checkpoint: checkpoint.batch,\n      end,',
    replacement: 'checkpoint: (checkpoint.batch - 1) as BatchNumber,\n      end,',
  },
  {
    name: 'rerun-behind-another-range',
    breaks: 'a source task runs again with the range before the one before',
    file: 'src/control/worker/reruns.ts',
    text: 'from.rangeOf(place, (from.batch - 1) as BatchNumber);',
    replacement: 'from.rangeOf(place, (from.batch - 2) as BatchNumber);',
  },
  {
    name: 'rerun-nothing',
    breaks: 'source tasks whose blocks were lost do not run again',
    file: round,
    text: 'if (spans.length > 0) reruns.push({ stage, partition, spans });',
    replacement: '',
  },
  {
    name: 'group-of-an-old-placement',
    breaks: 'a group that was permitted before a recovery is begun after it',
    file: worker,
    text: "if (order.version !== this.#template!.version) return this.#ignore('start-group',",
    replacement: "if (order.version < 0) return this.#ignore('start-group',",
  },
  {
    name: 'report-of-an-old-placement',
    breaks: 'what was done before a recovery counts as done after it',
    file: driver,
    text: "if (report.version !== this.#version) return this.#ignore('report', 'old-placement');",
    replacement: '',
  },
  {
    name: 'commit-what-moved',
    breaks: 'output that waits is committed though its partition has moved',
    file: worker,
    text: 'this.#gatedCommits = this.#gatedCommits.filter(({ local }) => kept.includes(local));',
    replacement: '',
  },
  {
    name: 'cut-known-ranges',
    breaks: 'a cut withdraws micro-batches whose ranges are decided',
    file: driver,
    text: '!this.#closing && this.#planner.end > this.#knownThrough;',
    replacement: '!this.#closing;',
  },
  {
    name: 'ended-before-it-moved',
    breaks: 'a source that has moved counts as ended though it must read on',
    file: driver,
    text: 'for (const place of moved) this.#sources.goesOn(place);',
    replacement: '',
  },
  {
    name: 'count-leavers',
    breaks: 'a worker that leaves before the start takes a place in what is counted',
    file: driver,
    text: 'this.#members.set(one.worker, { ...one, index: at });',
    replacement: 'this.#members.set(one.worker, { ...one, index: Math.max(at, one.index) });',
  },
  {
    name: 'queue-twice',
    breaks: 'a task that is queued while a recovery is carried out is queued once more',
    file: worker,
    text: 'while (this.#queue.pop() !== undefined);',
    replacement: '',
  },
  {
    name: 'snapshots-of-an-old-placement',
    breaks: 'state that was stored before a rollback gets into a checkpoint after it',
    file: driver,
    text: "if (message.version !== this.#version) {\n          return this.#ignore('snapshots-",
    replacement: "if (message.version < 0) {\n          return this.#ignore('snapshots-",
  },
  {
    name: 'drop-spilled-early',
    breaks: 'blocks on the spill disk are dropped when they are done',
    file: worker,
    text: "{ kind: 'drop-spilled', through }",
    replacement: "{ kind: 'drop-spilled', through: this.#doneThrough }",
  },
  {
    name: 'send-before-all-is-read',
    breaks: 'blocks are sent again though some of them are still on disk',
    file: 'src/control/worker/resends.ts',
    text: 'if (entries.includes(null)) {',
    replacement: 'if (entries.every((entry) => entry === null)) {',
  },
  {
    name: 'spill-nothing',
    breaks: 'blocks stay in memory however many there are',
    file: 'src/control/worker/spill-policy.ts',
    text: 'if (this.#underWay !== null || kept.memoryBytes <= keptBytesMax) return null;',
    replacement: 'if (kept.memoryBytes > 0) return null;',
  },
  {
    name: 'forget-what-was-to-be-sent',
    breaks: 'a recovery forgets blocks that the one before had not sent yet',
    file: worker,
    text: 'const resends = [...resending.stillToSend(this.#resends.rest)];',
    replacement: 'const resends: Resend[] = [];',
  },
  {
    name: 'catch-up-in-silence',
    breaks: 'a worker that repeats micro-batches does not say how far it is',
    file: worker,
    text: 'this.#catchesUp = end - 1 > through + resendAheadMax ? { end, tell } : null;',
    replacement: 'this.#catchesUp = null;',
  },
];

/** Found where a loss follows a loss, and what was kept is on disk. */
export const resendMutations: readonly Mutation[] = [
  {
    name: 'overtake-what-is-sent-again',
    breaks: 'new ranges reach a worker before those in front of them, which are still on disk',
    file: worker,
    text: 'if (this.#resends.insert(resend)) return;',
    replacement: '',
  },
];
