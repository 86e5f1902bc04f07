// A mistake on the command line: exit code 2 and a pointer to the help.

import { StreamError } from '../base/stream-error.ts';

export class UsageError extends StreamError {
  constructor(message: string, hint: string) {
    super({ code: 'usage', message, hint });
  }
}
