// What operators ask of this driver through the store: it looks whenever it renews its lease, does
// what is asked, one request at a time, and answers. A stop is answered when the job has ended.

import type { JobSummary, SavepointInfo, StopOptions } from '../../api/job.ts';
import { errorToData } from '../../base/stream-error.ts';
import type { PipelineKeys } from '../../control/storage/pipeline-keys.ts';
import type { RequestAnswer, SeenRequest } from '../../control/storage/request-script.ts';
import { answerRequest, openRequest, refusal } from '../../control/storage/request-script.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import { runStoreScript } from '../storage/run-script.ts';

export type RequestedActions = {
  readonly stop: (how: StopOptions) => Promise<unknown>;
  readonly savepoint: (name?: string) => Promise<SavepointInfo>;
};

export type RequestPlace = {
  readonly store: BlobStore;
  readonly keys: PipelineKeys;
  readonly term: number;
};

export class OperatorRequests {
  readonly #place: RequestPlace;
  readonly #actions: RequestedActions;
  /** It has been taken up, and answers when it is over. */
  #underWay: Promise<void> | null = null;
  #stop: SeenRequest | null = null;

  constructor(place: RequestPlace, actions: RequestedActions) {
    this.#place = place;
    this.#actions = actions;
  }

  /** Takes up what is asked. A store that does not answer is asked again the next time. */
  async poll(): Promise<void> {
    if (this.#underWay !== null || this.#stop !== null) return;
    const { store, keys, term } = this.#place;
    const asked = await runStoreScript(store, openRequest(keys, term));
    if (asked === null || this.#underWay !== null || this.#stop !== null) return;
    const { request } = asked;
    if (request.kind === 'savepoint') {
      this.#underWay = this.#makeSavepoint(asked, request.name).finally(() => {
        this.#underWay = null;
      });
      return;
    }
    const { drain, savepoint } = request;
    this.#stop = asked;
    this.#actions
      .stop({ ...(drain === null ? {} : { drain }), ...(savepoint === null ? {} : { savepoint }) })
      // Refused; or the run fails, and then its end has answered already.
      .catch((error: unknown) => this.#answerStop(refusal(errorToData(error))));
  }

  /** The job has ended: whoever waits for that is told. */
  async ended({ checkpoint, ending }: Pick<JobSummary, 'ending' | 'checkpoint'>): Promise<void> {
    await this.#underWay;
    const name = this.#stop?.request.kind === 'stop' ? this.#stop.request.savepoint : null;
    await this.#answerStop({ kind: 'done', checkpoint, name, ending });
  }

  async failed(error: unknown): Promise<void> {
    await this.#underWay;
    await this.#answerStop(refusal(errorToData(error)));
  }

  async #makeSavepoint(asked: SeenRequest, name: string | null): Promise<void> {
    const made = name === null ? this.#actions.savepoint() : this.#actions.savepoint(name);
    const answer = await made.then(
      (savepoint): RequestAnswer => {
        return { kind: 'done', checkpoint: savepoint.number, name: savepoint.name, ending: null };
      },
      (error: unknown) => refusal(errorToData(error)),
    );
    await this.#answer(asked, answer);
  }

  async #answerStop(answer: RequestAnswer): Promise<void> {
    const asked = this.#stop;
    if (asked === null) return;
    await this.#answer(asked, answer);
    this.#stop = null;
  }

  /** Whoever asked finds out by itself if this fails: the lease is given back, or it waits long. */
  async #answer(asked: SeenRequest, answer: RequestAnswer): Promise<void> {
    const { store, keys } = this.#place;
    await runStoreScript(store, answerRequest(keys, asked, answer)).catch(() => {});
  }
}
