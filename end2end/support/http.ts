/** Plain HTTP requests as a service or a script would make them: no browser, no cookie jar, no headers of their own. */
import http from 'node:http';
import zlib from 'node:zlib';

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  /** The body as it came over the wire, compressed or not. */
  raw: Buffer;
  text: string;
}

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

function decode(raw: Buffer, coding: string | undefined): string {
  // An answer without a body, such as 304, still names the coding of what it stands for.
  if (raw.length === 0) return '';
  if (coding === 'br') return zlib.brotliDecompressSync(raw).toString('utf8');
  if (coding === 'gzip') return zlib.gunzipSync(raw).toString('utf8');
  return raw.toString('utf8');
}

export function request(url: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = http.request(url, { method, headers, agent: false }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        const raw = Buffer.concat(parts);
        const text = decode(raw, answer.headers['content-encoding']);
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, raw, text });
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** The one answer of a JSON request, parsed. */
export async function json<T = Record<string, unknown>>(url: string, ask: Ask & { send?: unknown } = {}): Promise<{ status: number; body: T }> {
  const { send, ...rest } = ask;
  const reply = await request(url, {
    ...rest,
    headers: { ...(send === undefined ? {} : { 'content-type': 'application/json' }), ...rest.headers },
    ...(send === undefined ? {} : { body: JSON.stringify(send) }),
  });
  return { status: reply.status, body: JSON.parse(reply.text || 'null') as T };
}
