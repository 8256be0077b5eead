"""The client of the vendor's page of samples: `h2ogpte.rest`, used as that page uses it."""

import h2ogpte.rest
from h2ogpte.rest.exceptions import BadRequestException, ForbiddenException, NotFoundException, UnauthorizedException
from h2ogpte.rest.rest import ApiException

from keyfold import AsyncKeyfoldCase


class Sample(AsyncKeyfoldCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # This version lists no users; an administrator finds the id in the console.
        cls.bob = cls.server.user_id("bob")
        cls.carol = cls.server.user_id("carol")

    def configuration(self, secret):
        return h2ogpte.rest.Configuration(host=f"{self.server.url}/api/v1", access_token=secret)

    async def api(self, secret):
        client = h2ogpte.rest.ApiClient(self.configuration(secret))
        self.addAsyncCleanup(client.close)
        return h2ogpte.rest.APIKeysApi(client)

    async def test_the_sample_creates_a_key(self):
        async with h2ogpte.rest.ApiClient(self.configuration(self.server.admin_key)) as api_client:
            api_instance = h2ogpte.rest.APIKeysApi(api_client)
            api_key_create_request = h2ogpte.rest.APIKeyCreateRequest(user_id=self.bob)
            api_response = await api_instance.create_api_key_for_user(api_key_create_request)
            self.assertEqual((api_response.api_key.username, api_response.api_key.is_global_key), ("bob", True))
            self.assertEqual(self.server.verify(api_response.secret_key, "project"), "valid")

    async def test_the_samples_list_expire_deactivate_and_delete(self):
        api = await self.api(self.server.admin_key)
        wanted = h2ogpte.rest.APIKeyCreateRequest(user_id=self.carol, name="n", collection_id="letters", expires_in="30 days")
        made = await api.create_api_key_for_user(wanted)
        key_id = made.api_key.id
        find = lambda keys: next(key for key in keys if key.id == key_id)
        listed = find(await api.list_all_api_keys(offset=0, limit=100, filter="carol"))
        self.assertEqual((listed.collection_name, listed.name, listed.is_active), ("Letters", "n", True))
        self.assertEqual(await api.list_all_api_keys(offset=0, limit=100, filter="nobody"), [])
        self.assertEqual(len(await api.list_all_api_keys(offset=0, limit=1)), 1)
        end = h2ogpte.rest.APIKeyUpdateExpiryRequest(expires_in="30 minutes")
        await api.update_api_key_expiry(key_id, api_key_update_expiry_request=end)
        self.assertLess(find(await api.list_all_api_keys()).expires_at, made.api_key.expires_at)
        await api.update_api_key_expiry(key_id)
        self.assertIsNone(find(await api.list_all_api_keys()).expires_at)
        await api.deactivate_api_key(key_id)
        await api.deactivate_api_key(key_id)
        self.assertFalse(find(await api.list_all_api_keys()).is_active)
        await api.delete_api_key(key_id)
        self.assertEqual(self.server.verify(made.secret_key), "not_found")

    async def test_every_class_of_error(self):
        api = await self.api(self.server.admin_key)
        with self.assertRaises(BadRequestException):
            await api.create_api_key_for_user(h2ogpte.rest.APIKeyCreateRequest(user_id=self.bob, expires_in="soon"))
        with self.assertRaises(NotFoundException):
            await api.delete_api_key("key_0000000000000000000000")
        with self.assertRaises(ForbiddenException):
            await (await self.api(self.server.member_key)).list_all_api_keys()
        for secret in (None, "sk-" + "0" * 48):
            with self.assertRaises(UnauthorizedException) as caught:
                await (await self.api(secret)).list_all_api_keys()
            self.assertEqual(caught.exception.data.code, 401)
            self.assertIsInstance(caught.exception, ApiException)
