import { describe, expect, test } from 'bun:test';
import { peek } from '../../src/source/peek.ts';

/** A body that overwrites each chunk when the next is asked for, as a source may, and notes what is asked of it. */
function bodyOf(chunks: readonly string[]) {
  const seen = { asked: 0, closed: false };
  async function* body(): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.alloc(100);
    try {
      for (const chunk of chunks) {
        seen.asked++;
        buffer.fill('?');
        buffer.write(chunk);
        yield buffer.subarray(0, chunk.length);
      }
    } finally {
      seen.closed = true;
    }
  }
  return { body: body(), seen };
}

async function text(body: AsyncIterable<Uint8Array>): Promise<string> {
  let whole = '';
  for await (const chunk of body) whole += Buffer.from(chunk).toString();
  return whole;
}

describe('the start of a body', () => {
  test.each<[readonly string[], number]>([
    [['abcdef', 'ghi'], 1],
    [['abcd', 'efg'], 1],
    [['a', 'b', '', 'cd', 'ef'], 4],
    [['ab', 'cdef', 'g'], 2],
    [['ab', 'c'], 2],
    [[], 0],
  ])('%j is looked at, no more is asked for, and nothing is lost', async (chunks, asked) => {
    const { body, seen } = bodyOf(chunks);
    const peeked = await peek(body, 4);
    expect(Buffer.from(peeked.start).toString()).toBe(chunks.join('').slice(0, 4));
    expect(seen.asked).toBe(asked);
    expect(await text(peeked.body)).toBe(chunks.join(''));
    expect(seen.closed).toBe(true);
  });

  test('and a body that is given up is closed', async () => {
    const { body, seen } = bodyOf(['abcdef', 'ghi', 'jkl']);
    const peeked = await peek(body, 4);
    for await (const chunk of peeked.body) {
      expect(Buffer.from(chunk).toString()).toBe('abcdef');
      break;
    }
    expect(seen).toEqual({ asked: 1, closed: true });
  });

  test('an error in it is passed on', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('ab');
      throw new Error('lost');
    }
    await expect(peek(failing(), 4)).rejects.toThrow('lost');
    const { body } = await peek(failing(), 2);
    await expect(text(body)).rejects.toThrow('lost');
  });
});
