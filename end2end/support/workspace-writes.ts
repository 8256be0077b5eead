/** What changes resources, scopes, policies, the audit log's pages, and many keys at once. A part of `writes`. */
import { ADMIN } from './server';
import type { Target, Write } from './writes';

const NO_RESOURCE = `res_${'0'.repeat(22)}`;
const NO_BATCH = `blk_${'0'.repeat(22)}`;

type Fields = [string, string][];

const send = (name: string, form: Fields): Write => ({ name, method: 'POST', path: `/_app/${name}`, form });
const ask = (name: string, json: unknown): Write => ({ name, method: 'POST', path: `/_app/${name}`, json });

/** Rules that anybody may save, as fields. */
const RULES: Fields = [
  ['version', '1'],
  ['default_expiry_days', '90'],
  ['never_allowed', 'on'],
  ['members_may_create', 'on'],
  ['max_live_per_user', '500'],
  ['max_live_per_workspace', '10000'],
];

/** The same, as REST takes them. */
const REST_RULES = {
  max_expiry_days: null,
  default_expiry_days: 90,
  default_inactivity_days: null,
  never_allowed: true,
  members_may_create: true,
  max_live_per_user: 500,
  max_live_per_workspace: 10_000,
};

export function workspaceWrites({ slug, id }: Target): Write[] {
  const here: [string, string] = ['workspace', slug];
  const rest = (method: Write['method'], template: string, json?: unknown): Write => {
    const address = template.replace('{workspace}', slug).replace('{resource}', NO_RESOURCE).replace('{scope}', 'forged-by-rest');
    return { name: `${method} ${template}`, method, path: address, ...(json === undefined ? {} : { json }) };
  };
  const policies = (root: string): Write[] => [
    rest('PUT', `${root}/policy`, { rules: REST_RULES }),
    rest('POST', `${root}/policy/preview`, REST_RULES),
    rest('POST', `${root}/policy/apply`),
    rest('POST', `${root}/audit/verify`),
  ];
  const chosen = { act: 'deactivate', ids: [id] };
  return [
    ask('get_policy', { workspace: slug }),
    ask('preview_policy', { workspace: slug, form: Object.fromEntries(RULES.map(([name, value]) => [name, value === 'on' || (name === 'version' ? 1 : value)])), cursor: null }),
    send('update_policy', [here, ...RULES]),
    send('apply_policy', [here]),
    send('change_outages', [here, ['keep_answering', 'on']]),
    ask('list_audit', { workspace: slug, filter: {} }),
    ask('verify_audit', { workspace: slug }),
    ask('get_key_audit', { workspace: slug, id }),
    ask('preview_bulk', { act: 'deactivate', chosen: { workspace: slug, ids: [id] } }),
    send('run_bulk', [['act', 'deactivate'], ['chosen[workspace]', slug], ['chosen[ids][0]', id], ['expected', '1']]),
    ask('get_bulk', { workspace: slug, id: NO_BATCH }),
    ask('list_all_keys', { filter: {} }),
    ask('get_any_key', { id }),
    ask('get_key_places', { user: ADMIN.username }),
    ask('get_key_resources', { workspace: slug, id }),
    ask('list_resources', { workspace: slug, filter: {} }),
    ask('search_resources', { workspace: slug, owner: null, search: '' }),
    ask('list_resource_owners', { workspace: slug }),
    ask('get_resource', { workspace: slug, id: NO_RESOURCE }),
    send('create_resource', [here, ['kind', 'model'], ['external_id', 'forged'], ['owner', '']]),
    send('update_resource', [here, ['id', NO_RESOURCE], ['name', 'Forged']]),
    send('delete_resource', [here, ['id', NO_RESOURCE]]),
    ask('list_scopes', { workspace: slug }),
    send('create_scope', [here, ['name', 'forged']]),
    ask('get_scope', { workspace: slug, name: 'forged' }),
    send('update_scope', [here, ['name', 'forged'], ['description', 'Forged']]),
    send('delete_scope', [here, ['name', 'forged']]),
    // Each from the version that the one before it made.
    ask('get_routes', { workspace: slug }),
    ask('try_route', { workspace: slug, method: 'GET', path: '/', key: '' }),
    ask('get_route_rule', { workspace: slug, position: 0 }),
    ask('get_route_preset', { workspace: slug, name: 'epigos' }),
    send('load_route_preset', [here, ['version', '0'], ['name', 'epigos']]),
    send('save_route_rule', [here, ['version', '1'], ['methods', 'GET'], ['path', '/forged'], ['access', 'public']]),
    send('move_route_rule', [here, ['version', '2'], ['step', '1 down']]),
    send('delete_route_rule', [here, ['version', '3'], ['position', '1']]),
    ask('list_route_versions', { workspace: slug }),
    ask('get_route_version', { workspace: slug, version: 1 }),
    send('revert_routes', [here, ['version', '4'], ['to', '1']]),
    ask('get_route_import', { workspace: slug }),
    send('preview_import', [here, ['document', 'openapi: 3\npaths: {/forged: {get: {}}}'], ['read', 'public']]),
    send('save_import', [here, ['version', '5'], ['rules', '[]']]),
    ...policies('/v1/workspaces/{workspace}'),
    rest('PUT', '/v1/workspaces/{workspace}/outages', { keep_answering: true }),
    ...policies('/v1/admin'),
    rest('POST', '/v1/workspaces/{workspace}/keys:preview', chosen),
    rest('POST', '/v1/workspaces/{workspace}/keys:batch', chosen),
    rest('POST', '/v1/admin/keys:preview', chosen),
    rest('POST', '/v1/admin/keys:batch', chosen),
    rest('POST', '/v1/workspaces/{workspace}/resources', { kind: 'model', external_id: 'forged-by-rest' }),
    rest('PATCH', '/v1/workspaces/{workspace}/resources/{resource}', { name: 'Forged' }),
    rest('DELETE', '/v1/workspaces/{workspace}/resources/{resource}'),
    rest('PUT', '/v1/workspaces/{workspace}/routes', { preset: 'openai' }),
    rest('POST', '/v1/workspaces/{workspace}/routes:test', { method: 'GET', path: '/' }),
    rest('POST', '/v1/workspaces/{workspace}/routes:import', { document: 'openapi: 3\npaths: {/forged: {get: {}}}', read: { access: 'public' } }),
    rest('POST', '/v1/workspaces/{workspace}/scopes', { name: 'forged-by-rest' }),
    rest('PATCH', '/v1/workspaces/{workspace}/scopes/{scope}', { description: 'Forged' }),
    rest('DELETE', '/v1/workspaces/{workspace}/scopes/{scope}'),
  ];
}

/** Those of them that a page of our own is refused, too, since what they name is not there, in their order. */
export const WORKSPACE_REFUSED: [string, number][] = [
  ['get_bulk', 404],
  ['get_resource', 404],
  ['update_resource', 404],
  ['delete_resource', 404],
  ['PATCH /v1/workspaces/{workspace}/resources/{resource}', 404],
  ['DELETE /v1/workspaces/{workspace}/resources/{resource}', 404],
];
