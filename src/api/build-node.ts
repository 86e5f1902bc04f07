// What all operators need to make their nodes: the node itself, the user's callback over the
// columns of the input, and checks of names.

import { closestName } from '../base/closest-name.ts';
import type { CallSite } from '../base/call-site.ts';
import { Expression } from '../expr/expression.ts';
import type { Column } from '../plan/logical-plan.ts';
import type { DataType, Field } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake, placed } from '../schema/mistake.ts';
import { reservedNames } from '../schema/schema.ts';
import type { NodeKind, StreamNode, TimeAttribute } from './node.ts';
import { callUser, columnExpression, createScope, unknownColumn } from './scope.ts';

/** A node behind `input`; fields and time are the input's where nothing else is said. */
export function derived(
  input: StreamNode,
  kind: NodeKind,
  made: {
    readonly site: CallSite;
    readonly mistakes: readonly Mistake[];
    readonly fields?: readonly Field[];
    readonly time?: TimeAttribute;
  },
): StreamNode {
  const { site, fields = input.fields, time = input.time } = made;
  const mistakes = placed(made.mistakes, site);
  const uncertain = input.uncertain || (made.fields !== undefined && mistakes.length > 0);
  return { ...kind, name: null, site, fields, time, mistakes, uncertain };
}

export type Evaluated = { readonly value: unknown; readonly mistakes: readonly Mistake[] };

/** Calls the user's callback with the input's columns. */
export function evaluate(input: StreamNode, callback: unknown): Evaluated {
  if (typeof callback !== 'function') return { value: null, mistakes: checkFunction(callback) };
  const asked: Mistake[] = [];
  const scope = createScope(input.fields, asked);
  const { value, thrown } = callUser((): unknown => callback(scope));
  if (thrown !== null) return { value: null, mistakes: [...asked, thrown] };
  return { value, mistakes: [] };
}

/** Columns by name, or by a callback that gives expressions. */
export function columnsOf(
  input: StreamNode,
  selection: readonly unknown[],
  method: string,
): { readonly columns: readonly Column[]; readonly mistakes: readonly Mistake[] } {
  const mistakes: Mistake[] = [];
  const columns: Column[] = [];
  let described: readonly (readonly [string, unknown])[] = [];
  if (typeof selection[0] === 'function') {
    const evaluated = evaluate(input, selection[0]);
    mistakes.push(...evaluated.mistakes);
    described = isRecord(evaluated.value) ? Object.entries(evaluated.value) : [];
  } else {
    described = selection.map((name) => [String(name), namedColumn(input, name, mistakes)]);
  }
  if (described.length === 0 && mistakes.length === 0) {
    const hint = `as in ${method}('a', 'b') or ${method}((e) => ({ name: e.name.lower() }))`;
    mistakes.push(mistake(`${method} names no columns`, hint));
  }
  for (const [name, value] of described) {
    if (value === null) continue;
    if (value instanceof Expression) {
      mistakes.push(...value.mistakes);
      columns.push({ name, expr: value.expr });
    } else {
      const hint = 'for a constant use literal(…)';
      mistakes.push(mistake(`"${name}" is no expression`, hint));
    }
  }
  mistakes.push(...checkNames(described.map(([name]) => name)));
  return { columns, mistakes: input.uncertain ? [] : mistakes };
}

function namedColumn(input: StreamNode, name: unknown, mistakes: Mistake[]): Expression | null {
  const field = input.fields.find((one) => one.name === name);
  if (field === undefined) mistakes.push(unknownName(String(name), input.fields));
  return field === undefined ? null : columnExpression(field);
}

export function unknownName(name: string, fields: readonly Field[]): Mistake {
  return unknownColumn(
    name,
    fields.map((field) => field.name),
  );
}

export function checkNames(names: readonly string[]): readonly Mistake[] {
  const seen = new Set<string>();
  const mistakes: Mistake[] = [];
  for (const name of names) {
    if (seen.has(name)) mistakes.push(mistake(`two columns are called "${name}"`, 'rename one'));
    if (reservedNames.includes(name)) mistakes.push(mistake(`no column can be called "${name}"`));
    seen.add(name);
  }
  return mistakes;
}

export function checkName(name: string | undefined): readonly Mistake[] {
  if (name === undefined || /^[A-Za-z0-9][\w.-]*$/.test(name)) return [];
  const hint = 'use letters, digits, "-", "_" and "."';
  return [mistake(`${JSON.stringify(name)} is no name for an operator`, hint)];
}

/** `mizzle run` erases types without checking them, so a slip in a word or a name comes here. */
export function checkChoice(
  what: string,
  value: unknown,
  choices: readonly string[],
): readonly Mistake[] {
  if (value === undefined || choices.includes(value as string)) return [];
  const list = choices.map((choice) => `'${choice}'`).join(' or ');
  return [mistake(`${what} cannot be ${JSON.stringify(value)}`, `give ${list}`)];
}

export function checkOptionNames(options: object, known: readonly string[]): readonly Mistake[] {
  const unknown = Object.keys(options).filter((name) => !known.includes(name));
  return unknown.map((name) => {
    const closest = closestName(name, known);
    const hint = closest === null ? `there are ${known.join(', ')}` : `did you mean "${closest}"?`;
    return mistake(`there is no option "${name}"`, hint);
  });
}

export function checkSink(sink: unknown): readonly Mistake[] {
  const known = typeof sink === 'object' && sink !== null && 'open' in sink;
  return known ? [] : [mistake('this is no sink', 'give what a connector makes, as collect()')];
}

export function checkFunction(fn: unknown): readonly Mistake[] {
  return typeof fn === 'function' ? [] : [mistake('a function is missing')];
}

export function isRecord(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !(value instanceof Expression);
}

export function derivedField(name: string, type: DataType, nullable: boolean): Field {
  return { name, path: [name], type, nullable };
}
