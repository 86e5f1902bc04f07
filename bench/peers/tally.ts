// Holds the results that an engine wrote against the truth: which windows have their true count,
// and for each since when the log has had it and since when a reader of committed records has.

export type Arrival = {
  /** When the broker appended the record. */
  readonly appendedMs: number;
  /** When a reader of committed records got it. */
  readonly visibleMs: number;
  readonly campaign: string;
  readonly windowEndMs: number;
  readonly count: number;
};

/** A window of a campaign; latencies are from its end. */
export type WindowSeen = {
  readonly windowEndMs: number;
  readonly appendedMs: number;
  readonly visibleMs: number;
};

export type TallyResult = {
  readonly windows: number;
  /** Windows whose last count is not the true one, that are missing, or that should not be. */
  readonly wrong: number;
  readonly views: number;
  readonly trueViews: number;
  readonly records: number;
  /** Records beyond one a window: the same again, or revisions. */
  readonly repeats: number;
  /** When the first and the last window got the count that it has; null: there is none. */
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  readonly seen: readonly WindowSeen[];
};

/** True counts by `windowKey`. */
export type Truth = ReadonlyMap<string, number>;

type Told = {
  readonly windowEndMs: number;
  count: number;
  appendedMs: number;
  visibleMs: number;
  records: number;
};

export class Tally {
  readonly #told = new Map<string, Told>();
  #truth: Truth | null = null;
  #right = 0;
  #records = 0;

  get records(): number {
    return this.#records;
  }

  /**
   * A repetition of the last count changes nothing; a count that falls back and is told again is
   * the final one only since then.
   */
  add({ campaign, windowEndMs, count, appendedMs, visibleMs }: Arrival): void {
    const key = windowKey(campaign, windowEndMs);
    this.#records++;
    const before = this.#told.get(key);
    if (before === undefined) {
      this.#told.set(key, { windowEndMs, count, appendedMs, visibleMs, records: 1 });
      if (count === this.#truth?.get(key)) this.#right++;
      return;
    }
    before.records++;
    if (before.count === count) return;
    const wanted = this.#truth?.get(key);
    if (before.count === wanted) this.#right--;
    if (count === wanted) this.#right++;
    Object.assign(before, { count, appendedMs, visibleMs });
  }

  /** The truth is known once all events are sent. */
  judgeBy(truth: Truth): void {
    this.#truth = truth;
    this.#right = 0;
    for (const [key, { count }] of this.#told) if (truth.get(key) === count) this.#right++;
  }

  get isComplete(): boolean {
    return this.#truth !== null && this.#right === this.#truth.size;
  }

  result(): TallyResult {
    const truth = this.#truth;
    if (truth === null) throw new Error('nothing is known of the truth');
    let lastTrueEndMs = -Infinity;
    let trueViews = 0;
    for (const [key, count] of truth) {
      lastTrueEndMs = Math.max(lastTrueEndMs, windowEndOf(key));
      trueViews += count;
    }
    let views = 0;
    let repeats = 0;
    let extra = 0;
    let [firstMs, lastMs] = [Infinity, -Infinity];
    const seen: WindowSeen[] = [];
    for (const [key, { windowEndMs, count, appendedMs, visibleMs, records }] of this.#told) {
      if (!truth.has(key)) {
        // What closes all windows opens one of its own, an hour later.
        if (windowEndMs <= lastTrueEndMs) extra++;
        continue;
      }
      views += count;
      repeats += records - 1;
      firstMs = Math.min(firstMs, appendedMs);
      lastMs = Math.max(lastMs, appendedMs);
      seen.push({
        windowEndMs,
        appendedMs: appendedMs - windowEndMs,
        visibleMs: visibleMs - windowEndMs,
      });
    }
    return {
      windows: truth.size,
      wrong: truth.size - this.#right + extra,
      views,
      trueViews,
      records: this.#records,
      repeats,
      firstMs: seen.length === 0 ? null : firstMs,
      lastMs: seen.length === 0 ? null : lastMs,
      seen,
    };
  }
}

/** A line of the reader: appended, visible, key, value. */
export function arrivalIn(line: string): Arrival {
  const [appended, visible, campaign] = line.split(' ', 3);
  const value = line.slice(`${appended} ${visible} ${campaign} `.length);
  const { window_end: windowEndMs, count } = JSON.parse(value) as {
    window_end: number;
    count: number;
  };
  return {
    appendedMs: Number(appended),
    visibleMs: Number(visible),
    campaign: campaign!,
    windowEndMs,
    count,
  };
}

/** Of the generator's lines `second,campaign,views`, for windows of whole seconds. */
export function truthIn(text: string, windowMs: number): Truth {
  const truth = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [second, campaign, views] = line.split(',');
    const startMs = Math.floor((Number(second) * 1000) / windowMs) * windowMs;
    const key = windowKey(campaign!, startMs + windowMs);
    truth.set(key, (truth.get(key) ?? 0) + Number(views));
  }
  return truth;
}

export function windowKey(campaign: string, windowEndMs: number): string {
  return `${campaign}@${windowEndMs}`;
}

function windowEndOf(key: string): number {
  return Number(key.slice(key.lastIndexOf('@') + 1));
}
