/** The calls that services make. */
import { json } from './http';
import type { Server } from './server';

export interface Verdict {
  valid: boolean;
  code: string;
  name?: string;
  scopes?: string[];
}

/** `GET /v1/whoami` with the key. */
export async function whoami(server: Server, secret: string): Promise<Verdict & { status: number }> {
  const { status, body } = await json<Verdict>(`http://127.0.0.1:${server.port}/v1/whoami`, { headers: { authorization: `Bearer ${secret}` } });
  return { ...body, status };
}

/** `POST /v1/verify`: `caller` asks about `key`. */
export async function verify(server: Server, caller: string, key: string, scope?: string): Promise<Verdict & { status: number }> {
  const { status, body } = await json<Verdict>(`http://127.0.0.1:${server.port}/v1/verify`, {
    method: 'POST',
    headers: { authorization: `Bearer ${caller}` },
    send: scope === undefined ? { key } : { key, scope },
  });
  return { ...body, status };
}
