/** The list of API keys, and the dialogs over it. */
import { type Locator, type Page, expect } from '@playwright/test';

export type Kind = 'Secret' | 'Publishable' | 'Management';

export class KeysPage {
  readonly heading: Locator;
  readonly add: Locator;
  readonly table: Locator;
  readonly search: Locator;
  readonly notice: Locator;
  readonly filter: Locator;
  readonly narrowed: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1, name: 'API keys' });
    this.filter = page.getByRole('link', { name: 'Filter', exact: true });
    this.narrowed = page.locator('.narrowed');
    this.add = page.getByRole('link', { name: 'Add New Key' });
    this.table = page.getByRole('table', { name: 'API keys' });
    this.search = page.getByRole('searchbox', { name: 'Search keys' });
    this.notice = page.locator('main').getByRole('status');
  }

  /** The row of the key with that name. */
  row(name: string): Locator {
    return this.table.getByRole('row').filter({ has: this.page.getByRole('rowheader').filter({ hasText: name }) });
  }

  cell(name: string, label: string): Locator {
    return this.row(name).locator(`td[data-label="${label}"]`);
  }

  state(name: 'Current' | 'Active' | 'Inactive' | 'Deleted' | 'All'): Locator {
    return this.page.getByRole('navigation', { name: 'State' }).getByRole('link', { name, exact: true });
  }

  editScopes(name: string): Locator {
    return this.row(name).getByRole('link', { name: /^Edit scopes/ });
  }

  trash(name: string): Locator {
    return this.row(name).getByRole('link', { name: /^Delete/ });
  }
}

/** What the list shall be narrowed to. */
export class FilterDialog {
  readonly dialog: Locator;
  readonly show: Locator;
  readonly reset: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Filter keys' });
    this.show = this.dialog.getByRole('button', { name: 'Show keys' });
    this.reset = this.dialog.getByRole('link', { name: 'Reset' });
  }

  pick(label: 'Status' | 'Kind' | 'Scope' | 'Resource' | 'Used' | 'Expires' | 'Owner'): Locator {
    return this.dialog.getByLabel(label, { exact: true });
  }
}

export class NewKeyDialog {
  readonly dialog: Locator;
  readonly name: Locator;
  readonly expires: Locator;
  readonly lastDay: Locator;
  readonly idle: Locator;
  readonly note: Locator;
  readonly promise: Locator;
  readonly generate: Locator;
  readonly cancel: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Add New Key' });
    this.name = this.dialog.getByLabel('Name', { exact: true });
    this.expires = this.dialog.getByLabel('Expires');
    this.lastDay = this.dialog.getByLabel('Last day');
    this.idle = this.dialog.getByLabel('If nobody uses it');
    this.note = this.dialog.getByLabel('Note', { exact: true });
    this.promise = this.dialog.locator('#promise');
    this.generate = this.dialog.getByRole('button', { name: 'Generate Key' });
    this.cancel = this.dialog.getByRole('link', { name: 'Cancel' });
  }

  kind(kind: Kind): Locator {
    return this.dialog.getByRole('radio', { name: new RegExp(`^${kind}`) });
  }

  scope(name: string): Locator {
    return this.dialog.locator(`input[type=checkbox][value="${name}"]`);
  }

  async fill({ name, kind, scopes }: { name: string; kind?: Kind; scopes: string[] }): Promise<void> {
    await this.name.fill(name);
    if (kind) await this.kind(kind).check();
    for (const scope of scopes) await this.scope(scope).check();
  }
}

export class SecretDialog {
  readonly dialog: Locator;
  readonly secret: Locator;
  readonly firstCall: Locator;
  readonly copy: Locator;
  readonly copyCode: Locator;
  readonly download: Locator;
  readonly hide: Locator;
  readonly stored: Locator;
  readonly says: Locator;
  readonly done: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Copy your new key' });
    this.secret = this.dialog.locator('#secret');
    this.firstCall = this.dialog.getByLabel('First call', { exact: true });
    this.copy = this.dialog.locator('#copy-secret');
    this.copyCode = this.dialog.getByRole('button', { name: 'Copy code' });
    this.download = this.dialog.getByRole('button', { name: 'Download .env' });
    this.hide = this.dialog.getByRole('button', { name: /^(Hide|Show)$/ });
    this.stored = this.dialog.getByRole('checkbox', { name: 'I have stored it in a safe place' });
    this.says = this.dialog.getByRole('status');
    this.done = this.dialog.getByRole('button', { name: 'Done' });
  }

  /** The secret on the screen, whole. */
  async read(): Promise<string> {
    await expect(this.secret).toHaveText(/^\s*kf_(sec|pub|adm)_[0-9A-Za-z]{49}\s*$/);
    return (await this.secret.innerText()).trim();
  }

  /** Says that the secret is stored, and closes. */
  async finish(): Promise<void> {
    await this.stored.check();
    await this.done.click();
    await expect(this.dialog).toBeHidden();
  }
}

export class EditScopesDialog {
  readonly dialog: Locator;
  readonly change: Locator;
  readonly save: Locator;
  readonly cancel: Locator;
  readonly alert: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: 'Edit scopes' });
    this.change = this.dialog.locator('#scope-change');
    this.save = this.dialog.getByRole('button', { name: 'Save scopes' });
    this.cancel = this.dialog.getByRole('link', { name: 'Cancel' });
    this.alert = this.dialog.getByRole('alert');
  }

  scope(name: string): Locator {
    return this.dialog.locator(`input[type=checkbox][value="${name}"]`);
  }

  /** The scopes under *Gains* or *Loses*. */
  part(title: 'Gains' | 'Loses'): Locator {
    return this.change.locator('dt', { hasText: title }).locator('+ dd');
  }
}

export class DeleteDialog {
  readonly dialog: Locator;
  readonly confirmation: Locator;
  readonly keep: Locator;
  readonly remove: Locator;
  readonly alert: Locator;

  constructor(readonly page: Page) {
    this.dialog = page.getByRole('dialog', { name: /^Delete / });
    this.confirmation = this.dialog.getByLabel('Name of the key');
    this.keep = this.dialog.getByRole('link', { name: 'Keep key' });
    this.remove = this.dialog.getByRole('button', { name: 'Delete key' });
    this.alert = this.dialog.getByRole('alert');
  }
}
