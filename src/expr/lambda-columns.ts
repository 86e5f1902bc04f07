// Which columns a user's function reads, found in its source text, so that rows cost only what a
// lambda touches. Sound rather than clever: unless every use of the row is plainly `row.column` or
// the row is taken apart in the parameter list, the function may read all. Text in comments and
// strings counts as code, which can only add columns.

/** The columns of `names` that parameter `index` of `fn` is read for; all of them when in doubt. */
export function columnsReadBy(
  fn: (...args: never[]) => unknown,
  index: number,
  names: readonly string[],
): readonly string[] {
  const read = membersOf(Function.prototype.toString.call(fn), index);
  // A name that is no column is a method of every object, which may look at all of it.
  if (read === null || [...read].some((name) => !names.includes(name))) return names;
  return names.filter((name) => read.has(name));
}

const identifier = /^[A-Za-z_$][\w$]*$/;
const pattern = /^\{([^{}()[\]]*)\}/;
/** The bracket before the parameters, and a single bare parameter. */
const opening = /^(?:async\s+)?(?:function\b\s*\*?\s*[\w$]*\s*|\*?\s*[\w$]+\s*)?\(/;
const bare = /^(?:async\s+)?([A-Za-z_$][\w$]*)\s*=>/;

/** The members read of a parameter; null when that cannot be told. */
function membersOf(source: string, index: number): ReadonlySet<string> | null {
  // `arguments`, `eval` and names in escapes reach the row without naming it.
  if (/\barguments\b|\beval\b|\\u|\[native code\]|^class\b/.test(source)) return null;
  const single = bare.exec(source);
  if (single !== null)
    return index === 0 ? usesOf(single[1] ?? '', source, single[0].length) : new Set();
  const open = opening.exec(source);
  return open === null ? null : membersOfParameter(source, open[0].length, index);
}

function membersOfParameter(
  source: string,
  from: number,
  index: number,
): ReadonlySet<string> | null {
  let at = from;
  for (let parameter = 0; ; parameter++) {
    at += /^\s*/.exec(source.slice(at))?.[0].length ?? 0;
    const rest = source.slice(at);
    if (rest.startsWith(')')) return new Set();
    const text = (pattern.exec(rest) ?? /^[A-Za-z_$][\w$]*/.exec(rest))?.[0];
    const end = text === undefined ? null : /^\s*(,|(?=\)))/.exec(rest.slice(text.length));
    // Anything else: defaults, rest parameters, nested patterns, comments.
    if (text === undefined || end === null) return null;
    at += text.length + end[0].length;
    if (parameter === index) return text.startsWith('{') ? taken(text) : usesOf(text, source, at);
  }
}

/** The members that a flat pattern such as `{ a, b: c, d = 1 }` takes. */
function taken(text: string): ReadonlySet<string> | null {
  const parts = text
    .slice(1, -1)
    .split(',')
    .map((part) => part.trim());
  const members = parts
    .filter((part) => part !== '')
    .map((part) => part.split(/[:=]/)[0]?.trim() ?? '');
  return members.every((member) => identifier.test(member)) ? new Set(members) : null;
}

/** The members read of the variable `name` behind `from`; null when it is used in another way. */
function usesOf(name: string, source: string, from: number): ReadonlySet<string> | null {
  const word = name.replaceAll('$', '\\$');
  const uses = new RegExp(`(?<![\\w$])${word}(?![\\w$])(\\s*\\??\\.\\s*([A-Za-z_$][\\w$]*))?`, 'g');
  const members = new Set<string>();
  for (const use of source.slice(from).matchAll(uses)) {
    if (use[2] === undefined) return null;
    members.add(use[2]);
  }
  return members;
}
