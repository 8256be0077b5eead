/** The pages of resources and of scopes, and the dialogs over them. */
import type { Locator, Page } from '@playwright/test';

export class ResourcesPage {
  readonly heading: Locator;
  readonly add: Locator;
  readonly table: Locator;
  readonly search: Locator;
  readonly kind: Locator;
  readonly show: Locator;
  readonly notice: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1, name: 'Resources' });
    this.add = page.getByRole('link', { name: 'Add resource' });
    this.table = page.getByRole('table', { name: 'Resources' });
    this.search = page.getByRole('searchbox', { name: 'Search resources' });
    this.kind = page.locator('.filters').getByLabel('Kind');
    this.show = page.getByRole('button', { name: 'Show', exact: true });
    this.notice = page.locator('main').getByRole('status');
  }

  row(name: string): Locator {
    return this.table.getByRole('row').filter({ has: this.page.getByRole('rowheader').filter({ hasText: name }) });
  }

  edit(name: string): Locator {
    return this.row(name).getByRole('link', { name: `Edit ${name}` });
  }

  trash(name: string): Locator {
    return this.row(name).getByRole('link', { name: `Delete ${name}` });
  }
}

export class ResourceDialog {
  readonly dialog: Locator;
  readonly kind: Locator;
  readonly id: Locator;
  readonly name: Locator;
  readonly owner: Locator;
  readonly add: Locator;
  readonly save: Locator;
  readonly remove: Locator;
  readonly cancel: Locator;

  constructor(page: Page) {
    this.dialog = page.getByRole('dialog');
    this.kind = this.dialog.getByLabel('Kind');
    this.id = this.dialog.getByLabel('Id in your service');
    this.name = this.dialog.getByLabel('Name');
    this.owner = this.dialog.getByLabel('Owner');
    this.add = this.dialog.getByRole('button', { name: 'Add resource' });
    this.save = this.dialog.getByRole('button', { name: 'Save', exact: true });
    this.remove = this.dialog.getByRole('button', { name: 'Delete resource' });
    this.cancel = this.dialog.getByRole('link', { name: 'Cancel' });
  }

  async fill(kind: string, id: string, name = ''): Promise<void> {
    await this.kind.fill(kind);
    await this.id.fill(id);
    await this.name.fill(name);
  }
}

/** How a form asks what a key is tied to. */
export class ResourceChoice {
  readonly everything: Locator;
  readonly some: Locator;
  readonly search: Locator;
  readonly error: Locator;

  constructor(private readonly form: Locator) {
    this.everything = form.getByRole('radio', { name: /^Everything/ });
    this.some = form.getByRole('radio', { name: /^Only these/ });
    this.search = form.getByRole('searchbox', { name: 'Search resources' });
    this.error = form.locator('#resources-error');
  }

  box(name: string): Locator {
    return this.form.locator('.resource').filter({ hasText: name }).getByRole('checkbox');
  }
}

export class ScopesPage {
  readonly heading: Locator;
  readonly add: Locator;
  readonly own: Locator;
  readonly notice: Locator;

  constructor(readonly page: Page) {
    this.heading = page.getByRole('heading', { level: 1, name: 'Scopes' });
    this.add = page.getByRole('link', { name: 'Add scope' });
    this.own = page.getByRole('table', { name: 'Scopes of this workspace' });
    this.notice = page.locator('main').getByRole('status');
  }

  row(name: string): Locator {
    return this.page.getByRole('row').filter({ has: this.page.getByRole('rowheader').filter({ hasText: name }) });
  }

  edit(name: string): Locator {
    return this.row(name).getByRole('link', { name: `Edit ${name}` });
  }

  trash(name: string): Locator {
    return this.row(name).getByRole('link', { name: `Delete ${name}` });
  }
}

export class ScopeDialog {
  readonly dialog: Locator;
  readonly name: Locator;
  readonly description: Locator;
  readonly public: Locator;
  readonly add: Locator;
  readonly save: Locator;
  readonly remove: Locator;
  readonly removeFromKeys: Locator;

  constructor(page: Page) {
    this.dialog = page.getByRole('dialog');
    this.name = this.dialog.getByLabel('Name', { exact: true });
    this.description = this.dialog.getByLabel('Description');
    this.public = this.dialog.getByRole('checkbox', { name: /^Public/ });
    this.add = this.dialog.getByRole('button', { name: 'Add scope' });
    this.save = this.dialog.getByRole('button', { name: 'Save scope' });
    this.remove = this.dialog.getByRole('button', { name: 'Delete scope' });
    this.removeFromKeys = this.dialog.getByRole('button', { name: 'Delete and take from keys' });
  }

  includes(name: string): Locator {
    return this.dialog.locator(`.scopes input[value="${name}"]`);
  }
}
