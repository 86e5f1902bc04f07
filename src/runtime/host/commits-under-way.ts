// What a worker has sent to the client's sinks and not heard of yet.

import { errorFromData } from '../../base/stream-error.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';

export class CommitsUnderWay {
  readonly #commits = new Map<number, PromiseWithResolvers<void>>();
  #count = 0;

  begin(): { readonly commit: number; readonly visible: Promise<void> } {
    const commit = this.#count++;
    const visible = Promise.withResolvers<void>();
    this.#commits.set(commit, visible);
    return { commit, visible: visible.promise };
  }

  /** What is not under way is ignored: it was answered twice. */
  settle(commit: number, error: StreamErrorData | null): void {
    const visible = this.#commits.get(commit);
    this.#commits.delete(commit);
    if (error === null) visible?.resolve();
    else visible?.reject(errorFromData(error));
  }
}
