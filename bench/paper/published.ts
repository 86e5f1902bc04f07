// What the paper published of its scheduling figures, read from its figure 4a by the pixel (on a
// logarithmic axis: within 3 %); the rest from its text. Shown beside ours, never fitted to it but
// where it says so.

export const machineCounts = [4, 8, 16, 32, 64, 128] as const;

export const tasksPerMachine = 4;

/** Figure 4a: time per micro-batch, ms, at `machineCounts`. */
export const published4a = {
  spark: [15.3, 20.9, 31.4, 55.1, 96.9, 193],
  groups: [
    { groupSize: 25, ms: [3.09, 3.29, 3.97, 4.94, 5.26, 9.25] },
    { groupSize: 50, ms: [2.56, 2.64, 3.09, 3.39, 4.23, 5.6] },
    { groupSize: 100, ms: [2.12, 2.26, 2.48, 2.99, 3.5, 4.09] },
  ],
} as const;

/** Figure 5b at 128 machines, from its text: less certain than what was read by the pixel. */
export const published5b = {
  preSchedulingSavesMs: 20,
  speedupMin: 2.7,
  speedupMax: 5.5,
} as const;

/** The paper's Drizzle as t(G) = b + a/G: its points at G = 25 and 100 give a and b. */
export function publishedDrizzle(index: number, groupSize: number): number {
  const [least, , most] = published4a.groups;
  const a = (least.ms[index]! - most.ms[index]!) / (1 / 25 - 1 / 100);
  const b = most.ms[index]! - a / 100;
  return b + a / groupSize;
}
