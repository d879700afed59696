import { type ErrorRecord, isErrorCode } from '../console/rdpull-error.ts';
import type { Moment } from './moment.ts';
import {
  RECORDED_STATES,
  type RecordedCache,
  type RecordedOnDemand,
  type RecordedPromise,
  type RecordedState,
  type TransferRecord,
} from './transfer-record.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads a record. It may be of another version of rdpull, or of nobody's making: fields that are not known are left out.
 *
 * @throws Error that says what is wrong
 */
export function parseRecord(text: string): TransferRecord {
  const fields = object(parseJson(text), 'the record');
  const process = object(fields['process'], 'process');
  return {
    state: oneOf(fields['state'], isState, 'state'),
    target: string(fields['target'], 'target'),
    verify: string(fields['verify'], 'verify'),
    begun: moment(fields['begun'], 'begun'),
    updated: moment(fields['updated'], 'updated'),
    received: number(fields['received'], 'received'),
    decoded: number(fields['decoded'], 'decoded'),
    process: {
      pid: number(process['pid'], 'process.pid'),
      startTime: number(process['startTime'], 'process.startTime'),
    },
    command: strings(fields['command'], 'command'),
    ...optional(fields, 'url', string),
    ...optional(fields, 'total', number),
    ...optional(fields, 'isWhole', flag),
    ...optional(fields, 'sha256', string),
    ...optional(fields, 'promised', promise),
    ...optional(fields, 'onDemand', onDemand),
    ...optional(fields, 'cache', cache),
    ...optional(fields, 'device', string),
    ...optional(fields, 'root', string),
    ...optional(fields, 'mount', string),
    ...optional(fields, 'error', failure),
    ...optional(fields, 'note', string),
    ...optional(fields, 'unit', string),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
}

function optional<Name extends string, Value>(
  fields: Fields,
  name: Name,
  read: (value: unknown, name: string) => Value,
): { readonly [Key in Name]?: Value } {
  const value = fields[name];
  const result: { [Key in Name]?: Value } = {};
  if (value !== undefined) result[name] = read(value, name);
  return result;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function object(value: unknown, name: string): Fields {
  if (!isFields(value)) throw new Error(`${name} is no object`);
  return value;
}

function string(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new Error(`${name} is no string`);
  return value;
}

function number(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw new Error(`${name} is no number`);
  }
  return value;
}

function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw new Error(`${name} is neither true nor false`);
  return value;
}

function strings(value: unknown, name: string): readonly string[] {
  if (!Array.isArray(value)) throw new Error(`${name} is no list`);
  return value.map((each: unknown) => string(each, name));
}

function oneOf<Value extends string>(
  value: unknown,
  isOne: (text: string) => text is Value,
  name: string,
): Value {
  const text = string(value, name);
  if (!isOne(text)) throw new Error(`${name} is none that is known`);
  return text;
}

const isState = (text: string): text is RecordedState => RECORDED_STATES.some((state) => state === text);

function moment(value: unknown, name: string): Moment {
  const fields = object(value, name);
  const wall = string(fields['wall'], `${name}.wall`);
  if (Number.isNaN(Date.parse(wall))) throw new Error(`${name}.wall is no time`);
  return { boot: number(fields['boot'], `${name}.boot`), wall };
}

function promise(value: unknown, name: string): RecordedPromise {
  const fields = object(value, name);
  return { ...optional(fields, 'manifestUrl', string), ...optional(fields, 'signedBy', signer) };
}

function onDemand(value: unknown, name: string): RecordedOnDemand {
  const fields = object(value, name);
  return {
    bytes: number(fields['bytes'], `${name}.bytes`),
    blocks: number(fields['blocks'], `${name}.blocks`),
    handedOver: fields['handedOver'] === true,
  };
}

function cache(value: unknown, name: string): RecordedCache {
  const fields = object(value, name);
  return {
    fetched: number(fields['fetched'], `${name}.fetched`),
    reused: number(fields['reused'], `${name}.reused`),
    ...optional(fields, 'image', string),
    ...optional(fields, 'id', string),
    ...optional(fields, 'triesLeft', number),
    ...optional(fields, 'why', string),
  };
}

function signer(value: unknown, name: string) {
  const fields = object(value, name);
  return {
    by: string(fields['by'], `${name}.by`),
    fingerprint: string(fields['fingerprint'], `${name}.fingerprint`),
    ...optional(fields, 'userId', string),
  };
}

function failure(value: unknown, name: string): ErrorRecord {
  const fields = object(value, name);
  return {
    code: oneOf(fields['code'], isErrorCode, `${name}.code`),
    message: string(fields['message'], `${name}.message`),
    hint: string(fields['hint'], `${name}.hint`),
  };
}
