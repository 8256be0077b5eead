"""The generated client that is awaited: `h2ogpte.rest_async`."""

from h2ogpte import rest_async as rest
from h2ogpte.rest_async.exceptions import BadRequestException, ForbiddenException, NotFoundException, UnauthorizedException

from keyfold import AsyncKeyfoldCase


class RestAsync(AsyncKeyfoldCase):
    async def asyncSetUp(self):
        self.keys = await self.api(self.server.admin_key)
        users = await rest.PermissionsApi(self.keys.api_client).list_users()
        self.users = {user.username: user.id for user in users}

    async def api(self, secret):
        client = rest.ApiClient(rest.Configuration(host=f"{self.server.url}/api/v1", access_token=secret))
        self.addAsyncCleanup(client.close)
        return rest.APIKeysApi(client)

    async def create(self, **wanted):
        wanted.setdefault("user_id", self.users["bob"])
        return await self.keys.create_api_key_for_user(rest.APIKeyCreateRequest(**wanted))

    async def find(self, key_id):
        return next(key for key in await self.keys.list_all_api_keys() if key.id == key_id)

    async def test_the_life_of_a_key(self):
        made = await self.create(name="n", collection_id="contracts", expires_in="30 days", inactivity_interval=60)
        key = made.api_key
        self.assertEqual((await self.find(key.id)).to_dict(), key.to_dict())
        self.assertEqual(self.server.verify(made.secret_key, "chat", "collection:contracts"), "valid")
        await self.keys.update_api_key_expiry(key.id, rest.APIKeyUpdateExpiryRequest(expires_in="1 week"))
        wanted = rest.APIKeyUpdateInactivityIntervalRequest(inactivity_interval=7)
        await self.keys.update_api_key_inactivity_interval(key.id, wanted)
        changed = await self.find(key.id)
        self.assertEqual(changed.inactivity_interval, 7)
        self.assertLess(changed.expires_at, key.expires_at)
        # This client sends a content type with no body.
        await self.keys.update_api_key_expiry(key.id)
        await self.keys.update_api_key_inactivity_interval(key.id)
        changed = await self.find(key.id)
        self.assertEqual((changed.inactivity_interval, changed.expires_at), (None, None))
        await self.keys.deactivate_api_key(key.id)
        await self.keys.deactivate_api_key(key.id)
        self.assertFalse((await self.find(key.id)).is_active)
        await self.keys.delete_api_key(key.id)
        self.assertEqual(self.server.verify(made.secret_key), "not_found")

    async def test_the_list_is_paged_and_filtered(self):
        made = [(await self.create(user_id=self.users["carol"])).api_key.id for _ in range(3)]
        listed = await self.keys.list_all_api_keys(offset=0, limit=100, filter="carol")
        self.assertEqual([key.id for key in listed], made)
        listed = await self.keys.list_all_api_keys(offset=1, limit=1, filter="carol")
        self.assertEqual([key.id for key in listed], made[1:2])

    async def test_every_class_of_error(self):
        with self.assertRaises(BadRequestException) as caught:
            await self.create(expires_in="soon")
        self.assertEqual(caught.exception.data.code, 400)
        for secret in (None, "sk-" + "0" * 48):
            with self.assertRaises(UnauthorizedException) as caught:
                await (await self.api(secret)).list_all_api_keys()
            self.assertEqual(caught.exception.data.code, 401)
        for secret in (self.server.member_key, self.server.data_key):
            with self.assertRaises(ForbiddenException):
                await (await self.api(secret)).list_all_api_keys()
        for key_id in ("key_0000000000000000000000", "a/b c", "id1,id2"):
            with self.assertRaises(NotFoundException):
                await self.keys.delete_api_key(key_id)
            with self.assertRaises(NotFoundException):
                await self.keys.deactivate_api_key(key_id)
