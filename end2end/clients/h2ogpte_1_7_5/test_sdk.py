"""The classes that scripts use: `H2OGPTE`, and `H2OGPTEAsync`."""

import contextlib
import io

from h2ogpte import H2OGPTE, H2OGPTEAsync
from h2ogpte.errors import ForbiddenError, HTTPError, InvalidArgumentError, ObjectNotFoundError, UnauthorizedError

from keyfold import AsyncKeyfoldCase, KeyfoldCase


class Sdk(KeyfoldCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.connect(cls.server.admin_key)
        cls.users = {user.username: user.id for user in cls.client.list_users(0, 100)}

    @classmethod
    def connect(cls, secret, **more):
        return H2OGPTE(address=f"{cls.server.url}/", api_key=secret, **more)

    def find(self, name):
        return next((key for key in self.client.list_all_api_keys(0, 1000) if key.name == name), None)

    def test_the_version_is_the_clients_own(self):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            self.connect(self.server.admin_key, strict_version_check=True)
            self.connect(self.server.admin_key, strict_version_check=True, send_client_version=False)
        self.assertEqual(said.getvalue(), "")

    def test_meta_tells_who_one_is(self):
        meta = self.client.get_meta()
        self.assertEqual((meta.username, meta.email, meta.user_id), ("ada", "ada@example.com", self.users["ada"]))
        self.assertEqual(self.connect(self.server.member_key).get_meta().username, "bob")

    def test_the_life_of_a_key(self):
        secret = self.client.create_api_key_for_user(
            self.users["bob"], name="life", collection_id="contracts", expires_in="30 days", inactivity_interval=60)
        self.assertEqual(self.server.verify(secret, "chat", "collection:contracts"), "valid")
        key = self.find("life")
        self.assertEqual((key.username, key.collection_name, key.inactivity_interval, key.is_global_key), ("bob", "Contracts", 60, False))
        self.assertEqual(self.client.set_api_key_expiration(key.id, "1 day").status, "completed")
        self.assertLess(self.find("life").expires_at, key.expires_at)
        self.assertEqual(self.client.set_api_key_expiration(key.id).status, "completed")
        self.assertIsNone(self.find("life").expires_at)
        self.assertEqual(self.client.set_api_key_inactivity_interval(key.id, 7).status, "completed")
        self.assertEqual(self.find("life").inactivity_interval, 7)
        self.assertEqual(self.client.set_api_key_inactivity_interval(key.id).status, "completed")
        self.assertIsNone(self.find("life").inactivity_interval)
        for _ in range(2):
            self.assertEqual(self.client.deactivate_api_key(key.id).status, "completed")
        self.assertFalse(self.find("life").is_active)
        self.assertEqual(self.client.delete_api_keys([key.id]).status, "completed")
        self.assertIsNone(self.find("life"))

    def test_several_keys_are_deleted_at_once(self):
        for number in range(3):
            self.client.create_api_key_for_user(self.users["carol"], name=f"many{number}")
        ids = [key.id for key in self.client.list_all_api_keys(0, 100, "carol") if key.name.startswith("many")]
        self.assertEqual(len(ids), 3)
        self.client.delete_api_keys(ids)
        self.assertEqual([key for key in self.client.list_all_api_keys(0, 100, "carol") if key.name.startswith("many")], [])

    def test_calls_are_counted_and_only_waiting_is_not(self):
        own = lambda: next(key for key in self.client.list_all_api_keys(0, 100) if key.name == "made for ada")
        before = own()
        self.client.get_meta()
        after = own()
        self.assertGreaterEqual(after.total_calls, before.total_calls + 2)
        self.assertIsNotNone(after.last_used_at)

    def test_every_class_of_error(self):
        with self.assertRaises(InvalidArgumentError):
            self.client.create_api_key_for_user(self.users["bob"], expires_in="soon")
        with self.assertRaises(InvalidArgumentError):
            self.client.create_api_key_for_user(self.users["bob"], collection_id="letters")
        with self.assertRaises(ObjectNotFoundError):
            self.client.create_api_key_for_user("nobody")
        with self.assertRaises(ObjectNotFoundError):
            self.client.delete_api_keys(["key_0000000000000000000000"])
        with self.assertRaises(ForbiddenError):
            self.connect(self.server.member_key).list_all_api_keys(0, 10)
        with self.server.at_most(1), self.assertRaises(HTTPError) as caught:
            self.client.create_api_key_for_user(self.users["bob"])
        self.assertEqual(caught.exception.status_code, 409)
        self.assertIn("as many", str(caught.exception))
        # Already while it is made: it asks for /rpc/meta, where it takes 403 for 401.
        for secret in ("sk-" + "0" * 48, self.server.data_key):
            with self.assertRaises(UnauthorizedError):
                self.connect(secret)

    def test_collections_are_made_and_listed(self):
        made = self.client.create_collection("Deeds", "Old ones")
        listed = self.client.list_recent_collections(0, 10)
        self.assertIn(("Deeds", made), [(found.name, found.id) for found in listed])
        secret = self.client.create_api_key_for_user(self.users["ada"], name="deeds", collection_id=made)
        self.assertEqual(self.server.verify(secret, "chat", f"collection:{made}"), "valid")

    def test_what_belongs_to_the_platform_is_not_here(self):
        with self.assertRaises(ObjectNotFoundError):
            self.client.create_chat_session()


class SdkAsync(AsyncKeyfoldCase):
    async def test_the_life_of_a_key(self):
        async with H2OGPTEAsync(address=self.server.url, api_key=self.server.admin_key, strict_version_check=True) as client:
            users = {user.username: user.id for user in await client.list_users(0, 100)}
            secret = await client.create_api_key_for_user(users["bob"], name="life", expires_in="30 minutes")
            self.assertEqual(self.server.verify(secret, "project"), "valid")
            key = next(key for key in await client.list_all_api_keys(0, 100, "bob") if key.name == "life")
            await client.set_api_key_expiration(key.id)
            await client.set_api_key_inactivity_interval(key.id, 30)
            await client.deactivate_api_key(key.id)
            key = next(key for key in await client.list_all_api_keys(0, 100) if key.id == key.id and key.name == "life")
            self.assertEqual((key.is_active, key.expires_at, key.inactivity_interval), (False, None, 30))
            await client.delete_api_keys([key.id])
            with self.assertRaises(ObjectNotFoundError):
                await client.delete_api_keys([key.id])
