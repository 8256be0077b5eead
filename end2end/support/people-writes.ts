/** What changes people: members, invitations, users, workspaces, one's own account. A part of `writes`. */
import { ADMIN } from './server';
import type { Write } from './writes';

const NOBODY = `usr_${'0'.repeat(22)}`;
const NOTHING = `inv_${'0'.repeat(22)}`;
const NO_KEY = `key_${'0'.repeat(22)}`;
const NO_SESSION = `ses_${'0'.repeat(22)}`;

type Fields = [string, string][];

const send = (name: string, form: Fields): Write => ({ name, method: 'POST', path: `/_app/${name}`, form });
const ask = (name: string, json: unknown): Write => ({ name, method: 'POST', path: `/_app/${name}`, json });

export function peopleWrites(slug: string): Write[] {
  const here: [string, string] = ['workspace', slug];
  const filter = { search: '', cursor: null, limit: 50 };
  const workspace = `/v1/workspaces/${slug}`;
  const rest = (method: Write['method'], template: string, json?: unknown): Write => {
    const address = template.replace('{workspace}', slug).replace('{user}', NOBODY).replace('{invitation}', NOTHING);
    return { name: `${method} ${template}`, method, path: address, ...(json === undefined ? {} : { json }) };
  };
  const user: [string, string] = ['user', NOBODY];
  const person = (username: string): Fields => [['username', username], ['email', 'mallory@example.com'], ['display_name', 'Mallory']];
  return [
    ask('list_members', { workspace: slug, filter }),
    ask('get_member', { workspace: slug, user: NOBODY }),
    send('add_member', [here, ['user', 'nobody'], ['role', 'admin']]),
    send('update_member', [here, user, ['role', 'viewer']]),
    send('limit_member', [here, user]),
    send('remove_member', [here, user]),
    send('invite_member', [here, ['role', 'member'], ['label', 'forged']]),
    send('withdraw_invitation', [here, ['invitation', NOTHING]]),
    send('decide_left_keys', [here, ['subject', NO_KEY], ['decision', 'revoke']]),
    ask('get_invitation', { token: 'forged' }),
    send('accept_invitation', [['token', 'forged']]),
    send('join_workspace', [['token', 'forged'], ...person('mallory'), ['password', ADMIN.password]]),
    ask('get_password_link', { token: 'forged' }),
    send('reset_password', [['token', 'forged'], ['password', ADMIN.password]]),
    ask('list_nodes', {}),
    ask('list_users', { filter }),
    ask('get_user', { user: NOBODY }),
    send('create_user', person('mallory-by-function')),
    send('update_user', [user, ['email', 'mallory@example.com']]),
    send('create_reset_link', [user]),
    send('disable_user', [user]),
    send('enable_user', [user]),
    ask('list_all_workspaces', { filter }),
    send('create_workspace', [['name', 'Forged'], ['slug', `forged-${slug}`], ['owner', ADMIN.username]]),
    send('rename_workspace', [here, ['name', 'Forged']]),
    send('delete_workspace', [here]),
    ask('get_account', {}),
    send('update_account', [['display_name', 'Forged'], ['email', ADMIN.email]]),
    send('change_password', [['present', 'not the password'], ['password', 'forged and forged again']]),
    send('end_session', [['session', NO_SESSION]]),
    send('end_other_sessions', []),
    { name: 'POST /w/{workspace}/members/invite', method: 'POST', path: `/w/${slug}/members/invite`, form: [['role', 'member']] },
    { name: 'POST /system/users/new', method: 'POST', path: '/system/users/new', form: person('mallory-by-form') },
    { name: 'POST /system/users/{user}/reset', method: 'POST', path: `/system/users/${NOBODY}/reset`, form: [] },
    rest('POST', '/v1/workspaces/{workspace}/members', { user: ADMIN.username, role: 'owner' }),
    rest('PATCH', '/v1/workspaces/{workspace}/members/{user}', { role: 'viewer' }),
    rest('PUT', '/v1/workspaces/{workspace}/members/{user}/limits', { limits: [] }),
    rest('DELETE', '/v1/workspaces/{workspace}/members/{user}'),
    rest('POST', '/v1/workspaces/{workspace}/invitations', { role: 'member' }),
    rest('DELETE', '/v1/workspaces/{workspace}/invitations/{invitation}'),
    { name: 'POST /v1/workspaces/{workspace}/left-keys', method: 'POST', path: `${workspace}/left-keys`, json: { decision: 'revoke', keys: [NO_KEY] } },
    rest('POST', '/v1/admin/users', { username: 'mallory-by-rest', email: 'mallory@example.com' }),
    rest('PATCH', '/v1/admin/users/{user}', { display_name: 'Forged' }),
    rest('POST', '/v1/admin/users/{user}/disable'),
    rest('POST', '/v1/admin/users/{user}/enable'),
    rest('POST', '/v1/admin/users/{user}/reset-link'),
    rest('POST', '/v1/admin/workspaces', { slug: 'forged', name: 'Forged', owner: NOBODY }),
    rest('PATCH', '/v1/admin/workspaces/{workspace}', { name: 'Forged' }),
    rest('DELETE', '/v1/admin/workspaces/{workspace}'),
  ];
}

/** Those of them that a page of our own is refused, too, since what they name or confirm is not there, in their order. */
export const PEOPLE_REFUSED: [string, number][] = [
  ['get_member', 404],
  ['add_member', 400],
  ['update_member', 404],
  ['limit_member', 404],
  ['remove_member', 404],
  ['withdraw_invitation', 404],
  ['decide_left_keys', 404],
  ['get_invitation', 403],
  ['accept_invitation', 403],
  ['join_workspace', 403],
  ['get_password_link', 403],
  ['reset_password', 403],
  ['get_user', 404],
  ['update_user', 404],
  ['create_reset_link', 404],
  ['disable_user', 404],
  ['enable_user', 404],
  ['delete_workspace', 400],
  ['change_password', 403],
  ['end_session', 404],
  ['POST /system/users/{user}/reset', 404],
  ['PATCH /v1/workspaces/{workspace}/members/{user}', 404],
  ['PUT /v1/workspaces/{workspace}/members/{user}/limits', 404],
  ['DELETE /v1/workspaces/{workspace}/members/{user}', 404],
  ['DELETE /v1/workspaces/{workspace}/invitations/{invitation}', 404],
  ['POST /v1/workspaces/{workspace}/left-keys', 404],
  ['PATCH /v1/admin/users/{user}', 404],
  ['POST /v1/admin/users/{user}/disable', 404],
  ['POST /v1/admin/users/{user}/enable', 404],
  ['POST /v1/admin/users/{user}/reset-link', 404],
  ['POST /v1/admin/workspaces', 400],
  ['DELETE /v1/admin/workspaces/{workspace}', 400],
];
