// The pipeline of `drain` as its worker threads import it: as many events as the command line says.

import process from 'node:process';
import { numberArgument } from './figures.ts';
import { ysbOverRing } from './ysb-ring.ts';

const ringEvents = 540_000;
const partitions = 2;
const events = numberArgument(process.argv, 'events', 20e6);
const times = Math.max(1, Math.round(events / (ringEvents * partitions)));

export default ysbOverRing({ ringEvents, partitions, times });
