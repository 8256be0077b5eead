/** Every address of Keyfold that changes something, with a body that would do so. Complete by construction: see `uncovered`. */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import { peopleWrites } from './people-writes';
import { ADMIN, type Server } from './server';
import { workspaceWrites } from './workspace-writes';

/** One request, in the forms in which a browser can be made to send it. */
export interface Write {
  /** How the product calls it: a server function, or method and template of REST. */
  name: string;
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  /** Its fields, for an encoded form. */
  form?: [string, string][];
  /** Its body, for JSON. */
  json?: unknown;
}

const FUNCTIONS = path.resolve(__dirname, '../../app/src/functions');

/** What a key that does not exist yet or may be destroyed is used for. */
export interface Target {
  slug: string;
  id: string;
  version: number;
}

/** In an order in which each can still do its work; those that end the session come last. */
export function writes({ slug, id, version }: Target): Write[] {
  const key = { name: 'Forged', kind: 'secret', scopes: ['inference'] };
  const form: [string, string][] = [
    ['name', 'Forged'],
    ['kind', 'secret'],
    ['scopes[]', 'inference'],
    ['expiry', '30'],
  ];
  const filter = { search: '', state: 'live', owner: null, sort: 'created', descending: true, cursor: null, limit: 50 };
  const keyForm = { name: 'Forged', kind: 'secret', scopes: ['inference'], expiry: '30', expires_on: '', expires_at: null, inactivity_days: '', note: '' };
  const rest = `/v1/workspaces/${slug}/keys`;
  return [
    { name: 'get_viewer', method: 'POST', path: '/_app/get_viewer', json: {} },
    { name: 'get_home', method: 'POST', path: '/_app/get_home', json: {} },
    { name: 'list_workspaces', method: 'POST', path: '/_app/list_workspaces', json: {} },
    { name: 'list_keys', method: 'POST', path: '/_app/list_keys', json: { workspace: slug, filter } },
    { name: 'get_key', method: 'POST', path: '/_app/get_key', json: { workspace: slug, id } },
    { name: 'get_key_filters', method: 'POST', path: '/_app/get_key_filters', json: { workspace: slug } },
    { name: 'find', method: 'POST', path: '/_app/find', json: { text: 'vic', here: slug } },
    { name: 'get_columns', method: 'POST', path: '/_app/get_columns', json: {} },
    { name: 'set_columns', method: 'POST', path: '/_app/set_columns', form: [['shown[0]', 'scopes'], ['back', '/account']] },
    { name: 'set_shortcuts', method: 'POST', path: '/_app/set_shortcuts', form: [['shortcuts', 'off']] },
    { name: 'get_key_form', method: 'POST', path: '/_app/get_key_form', json: { workspace: slug } },
    { name: 'rename_key', method: 'POST', path: '/_app/rename_key', form: [['workspace', slug], ['id', id], ['version', String(version)], ['name', 'Forged']] },
    { name: 'change_expiry', method: 'POST', path: '/_app/change_expiry', form: [['workspace', slug], ['id', id], ['version', String(version + 1)], ['expiry', '7']] },
    { name: 'change_interval', method: 'POST', path: '/_app/change_interval', form: [['workspace', slug], ['id', id], ['version', String(version + 2)], ['inactivity_days', '30']] },
    { name: 'change_resources', method: 'POST', path: '/_app/change_resources', form: [['workspace', slug], ['id', id], ['version', String(version + 3)], ['reach', 'all']] },
    { name: 'get_key_limits', method: 'POST', path: '/_app/get_key_limits', json: { workspace: slug, id } },
    { name: 'change_addresses', method: 'POST', path: '/_app/change_addresses', form: [['workspace', slug], ['id', id], ['version', String(version + 4)], ['ip_allow', '0.0.0.0/0\n::/0']] },
    {
      name: 'change_limits',
      method: 'POST',
      path: '/_app/change_limits',
      form: [
        ['workspace', slug],
        ['id', id],
        ['version', String(version + 5)],
        ['limits[0][name]', 'forged'],
        ['limits[0][most]', '1000'],
        ['limits[0][span]', '60'],
      ],
    },
    { name: 'deactivate_key', method: 'POST', path: '/_app/deactivate_key', form: [['workspace', slug], ['id', id], ['reason', 'Forged']] },
    { name: 'activate_key', method: 'POST', path: '/_app/activate_key', form: [['workspace', slug], ['id', id]] },
    { name: 'set_theme', method: 'POST', path: '/_app/set_theme', form: [['theme', 'dark']] },
    { name: 'create_key', method: 'POST', path: '/_app/create_key', json: { workspace: slug, form: keyForm, idempotency_key: `forged-${slug}` } },
    { name: 'POST /w/{workspace}/keys/new', method: 'POST', path: `/w/${slug}/keys/new`, form },
    { name: 'POST /v1/workspaces/{workspace}/keys', method: 'POST', path: rest, json: key },
    { name: 'PATCH /v1/workspaces/{workspace}/keys/{key}', method: 'PATCH', path: `${rest}/${id}`, json: { note: 'forged' } },
    {
      name: 'update_key',
      method: 'POST',
      path: '/_app/update_key',
      form: [
        ['workspace', slug],
        ['id', id],
        // Each of the changes above has made a new version.
        ['version', String(version + 9)],
        ['scopes[]', 'chat'],
      ],
    },
    { name: 'explain_key', method: 'POST', path: '/_app/explain_key', json: { workspace: slug, id, question: {} } },
    { name: 'POST /v1/workspaces/{workspace}/keys/{key}/explain', method: 'POST', path: `${rest}/${id}/explain`, json: {} },
    { name: 'get_key_use', method: 'POST', path: '/_app/get_key_use', json: { workspace: slug, id } },
    { name: 'get_rotation_form', method: 'POST', path: '/_app/get_rotation_form', json: { workspace: slug, id } },
    { name: 'rotate_key', method: 'POST', path: '/_app/rotate_key', json: { workspace: slug, id, rotation: { grace: '1h', version: null }, idempotency_key: `forged-${id}` } },
    { name: 'POST /w/{workspace}/keys/{key}/rotate', method: 'POST', path: `/w/${slug}/keys/${id}/rotate`, form: [['grace', '1h'], ['idempotency_key', `form-${id}`]] },
    { name: 'POST /v1/workspaces/{workspace}/keys/{key}/rotate', method: 'POST', path: `${rest}/${id}/rotate`, json: { grace: '1h' } },
    { name: 'end_secret', method: 'POST', path: '/_app/end_secret', form: [['workspace', slug], ['id', id], ['secret', `sec_${'0'.repeat(22)}`]] },
    { name: 'DELETE /v1/workspaces/{workspace}/keys/{key}/secrets/{secret}', method: 'DELETE', path: `${rest}/${id}/secrets/sec_${'0'.repeat(22)}` },
    { name: 'POST /v1/workspaces/{workspace}/keys/{key}/deactivate', method: 'POST', path: `${rest}/${id}/deactivate`, json: { reason: 'forged' } },
    { name: 'POST /v1/workspaces/{workspace}/keys/{key}/activate', method: 'POST', path: `${rest}/${id}/activate` },
    {
      name: 'delete_key',
      method: 'POST',
      path: '/_app/delete_key',
      form: [
        ['workspace', slug],
        ['id', id],
        ['confirmation', ''],
      ],
    },
    { name: 'DELETE /v1/workspaces/{workspace}/keys/{key}', method: 'DELETE', path: `${rest}/${id}` },
    ...workspaceWrites({ slug, id, version }),
    ...peopleWrites(slug),
    { name: 'step_up', method: 'POST', path: '/_app/step_up', form: [['password', ADMIN.password]] },
    { name: 'get_setup', method: 'POST', path: '/_app/get_setup', json: {} },
    {
      name: 'complete_setup',
      method: 'POST',
      path: '/_app/complete_setup',
      form: [
        ['token', 'forged'],
        ['username', 'mallory'],
        ['email', 'mallory@example.com'],
        ['display_name', 'Mallory'],
        ['password', ADMIN.password],
        ['workspace_name', 'Forged'],
        ['workspace_slug', 'forged'],
      ],
    },
    { name: 'sign_out', method: 'POST', path: '/_app/sign_out', form: [] },
    {
      name: 'sign_in',
      method: 'POST',
      path: '/_app/sign_in',
      form: [
        ['login', ADMIN.username],
        ['password', ADMIN.password],
        ['next', ''],
      ],
    },
  ];
}

/** The server functions in the source and the operations in the OpenAPI document that the list above does not know. */
export async function uncovered(server: Server): Promise<string[]> {
  const known = new Set(writes({ slug: 'x', id: 'x', version: 1 }).map(({ name }) => name));
  const sources = await Promise.all((await readdir(FUNCTIONS)).map((file) => readFile(path.join(FUNCTIONS, file), 'utf8')));
  const functions = sources.flatMap((source) => [...source.matchAll(/#\[server\([^)]*?endpoint\s*=\s*"(\w+)"/gs)].map(([, name]) => name ?? ''));
  if (functions.length < 5) throw new Error('the server functions were not found in the source');
  const api = JSON.parse(await server.cli(['openapi'])) as { paths: Record<string, Record<string, unknown>> };
  const operations = Object.entries(api.paths).flatMap(([template, methods]) =>
    // What takes a bearer key alone has nothing that a browser would send along.
    Object.keys(methods).filter((method) => method !== 'get' && !template.startsWith('/v1/verify')).map((method) => `${method.toUpperCase()} ${template}`),
  );
  if (operations.length < 5) throw new Error('the operations were not found in the OpenAPI document');
  return [...functions, ...operations].filter((name) => !known.has(name));
}
