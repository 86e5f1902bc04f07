// All known bugs, and for each the simulation that is to find it.

import { betweenMutations, sinkMutations, sourceMutations } from './kafka-mutations.ts';
import type { Mutation } from './mutations.ts';
import { mutations, resendMutations } from './mutations.ts';

export type Finder = 'engine' | 'resends' | 'kafka-sink' | 'kafka-source' | 'kafka-engine';

export const allMutations: readonly { readonly finder: Finder; readonly mutation: Mutation }[] = [
  ...mutations.map((mutation) => ({ finder: 'engine' as const, mutation })),
  ...resendMutations.map((mutation) => ({ finder: 'resends' as const, mutation })),
  ...sinkMutations.map((mutation) => ({ finder: 'kafka-sink' as const, mutation })),
  ...sourceMutations.map((mutation) => ({ finder: 'kafka-source' as const, mutation })),
  ...betweenMutations.map((mutation) => ({ finder: 'kafka-engine' as const, mutation })),
];
