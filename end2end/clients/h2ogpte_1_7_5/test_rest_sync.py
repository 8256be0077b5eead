"""The generated client that blocks: `h2ogpte.rest_sync`."""

from datetime import datetime, timedelta, timezone

from h2ogpte import rest_sync as rest
from h2ogpte.rest_sync.exceptions import (
    BadRequestException,
    ConflictException,
    ForbiddenException,
    NotFoundException,
    UnauthorizedException,
)

from keyfold import KeyfoldCase


class RestSync(KeyfoldCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.keys = cls.api(cls.server.admin_key)
        cls.users = {user.username: user.id for user in rest.PermissionsApi(cls.keys.api_client).list_users()}

    @classmethod
    def api(cls, secret):
        client = rest.ApiClient(rest.Configuration(host=f"{cls.server.url}/api/v1", access_token=secret))
        return rest.APIKeysApi(client)

    def create(self, **wanted):
        wanted.setdefault("user_id", self.users["bob"])
        return self.keys.create_api_key_for_user(rest.APIKeyCreateRequest(**wanted))

    def find(self, key_id):
        return next(key for key in self.keys.list_all_api_keys() if key.id == key_id)

    def test_users_are_listed_with_ids(self):
        users = rest.PermissionsApi(self.keys.api_client).list_users(offset=0, limit=10)
        self.assertEqual([user.username for user in users], ["ada", "bob", "carol"])
        self.assertEqual(users[1].email, "bob@example.com")
        later = rest.PermissionsApi(self.keys.api_client).list_users(offset=2, limit=10)
        self.assertEqual([user.username for user in later], ["carol"])

    def test_a_key_is_created_with_everything(self):
        made = self.create(name="n", collection_id="contracts", expires_in="30 days", inactivity_interval=60)
        key = made.api_key
        self.assertEqual((key.username, key.name, key.collection_id, key.collection_name), ("bob", "n", "contracts", "Contracts"))
        self.assertEqual((key.is_global_key, key.is_active, key.inactivity_interval, key.total_calls), (False, True, 60, 0))
        self.assertEqual(key.hint, "..." + made.secret_key[-4:])
        left = key.expires_at - datetime.now(timezone.utc)
        self.assertTrue(timedelta(days=29, hours=23) < left <= timedelta(days=30), left)
        self.assertIsNone(key.last_used_at)
        self.assertEqual(self.find(key.id).to_dict(), key.to_dict())
        self.assertEqual(self.server.verify(made.secret_key, "chat", "collection:contracts"), "valid")
        self.assertEqual(self.server.verify(made.secret_key, "chat", "collection:letters"), "wrong_resource")
        self.assertEqual(self.server.verify(made.secret_key, "project"), "missing_scope")

    def test_a_key_is_created_with_nothing_but_its_user(self):
        made = self.create()
        self.assertEqual((made.api_key.name, made.api_key.is_global_key), ("", True))
        for absent in ("expires_at", "inactivity_interval", "collection_id", "collection_name", "last_used_at"):
            self.assertIsNone(getattr(made.api_key, absent), absent)
        self.assertEqual(self.server.verify(made.secret_key, "project"), "valid")

    def test_the_list_is_paged_and_filtered(self):
        for number in range(5):
            self.create(user_id=self.users["carol"], name=f"k{number}")
        every = self.keys.list_all_api_keys()
        self.assertGreaterEqual(len(every), 5)
        self.assertEqual([key.id for key in self.keys.list_all_api_keys(filter="")], [key.id for key in every])
        carols = self.keys.list_all_api_keys(filter="caro")
        self.assertEqual([key.name for key in carols], [f"k{number}" for number in range(5)])
        page = self.keys.list_all_api_keys(offset=1, limit=2, filter="carol")
        self.assertEqual([key.name for key in page], ["k1", "k2"])
        self.assertEqual(self.keys.list_all_api_keys(offset=1000), [])
        self.assertEqual(self.keys.list_all_api_keys(filter="nobody at all"), [])
        self.assertTrue(all("o" in key.username for key in self.keys.list_all_api_keys(filter="o")))

    def test_the_end_is_set_and_removed(self):
        key = self.create().api_key
        self.keys.update_api_key_expiry(key.id, api_key_update_expiry_request=rest.APIKeyUpdateExpiryRequest(expires_in="30 minutes"))
        left = self.find(key.id).expires_at - datetime.now(timezone.utc)
        self.assertTrue(timedelta(minutes=28) < left <= timedelta(minutes=30), left)
        # With no body at all, which is how this client takes an end away.
        self.keys.update_api_key_expiry(key.id)
        self.assertIsNone(self.find(key.id).expires_at)
        self.keys.update_api_key_expiry(key.id, api_key_update_expiry_request=rest.APIKeyUpdateExpiryRequest())
        self.assertIsNone(self.find(key.id).expires_at)

    def test_the_interval_is_set_and_removed(self):
        key = self.create().api_key
        wanted = rest.APIKeyUpdateInactivityIntervalRequest(inactivity_interval=60)
        self.keys.update_api_key_inactivity_interval(key.id, api_key_update_inactivity_interval_request=wanted)
        self.assertEqual(self.find(key.id).inactivity_interval, 60)
        self.keys.update_api_key_inactivity_interval(key.id)
        self.assertIsNone(self.find(key.id).inactivity_interval)

    def test_deactivation_is_final(self):
        made = self.create()
        for _ in range(2):
            self.assertIsNone(self.keys.deactivate_api_key(made.api_key.id))
        self.keys.update_api_key_expiry(made.api_key.id)
        self.assertFalse(self.find(made.api_key.id).is_active)
        self.assertEqual(self.server.verify(made.secret_key), "deactivated")

    def test_a_key_is_deleted(self):
        made = self.create()
        self.assertIsNone(self.keys.delete_api_key(made.api_key.id))
        self.assertEqual([key for key in self.keys.list_all_api_keys() if key.id == made.api_key.id], [])
        self.assertEqual(self.server.verify(made.secret_key), "not_found")
        with self.assertRaises(NotFoundException):
            self.keys.delete_api_key(made.api_key.id)

    def test_bad_requests(self):
        for wanted in ({"expires_in": "soon"}, {"expires_in": "0 days"}, {"inactivity_interval": 0}, {"collection_id": "letters"},
                       {"name": "x" * 101}, {"expires_in": "101 years"}):
            with self.assertRaises(BadRequestException) as caught:
                self.create(**wanted)
            self.assertEqual((caught.exception.status, caught.exception.data.code), (400, 400), wanted)
            self.assertTrue(caught.exception.data.message)
        with self.assertRaises(BadRequestException):
            self.keys.list_all_api_keys(limit=-1)

    def test_a_stranger_is_not_authorised(self):
        for secret in (None, "sk-" + "0" * 48, self.server.admin_key[:-1] + "!"):
            with self.assertRaises(UnauthorizedException) as caught:
                self.api(secret).list_all_api_keys()
            self.assertEqual(caught.exception.data.code, 401)

    def test_only_administrators_may(self):
        for secret in (self.server.member_key, self.server.data_key):
            for call in (
                lambda api: api.list_all_api_keys(),
                lambda api: api.create_api_key_for_user(rest.APIKeyCreateRequest(user_id=self.users["bob"])),
                lambda api: api.delete_api_key("key_0000000000000000000000"),
            ):
                with self.assertRaises(ForbiddenException) as caught:
                    call(self.api(secret))
                self.assertIn('"code":403', caught.exception.body)

    def test_what_is_not_there_is_not_found(self):
        for act in (self.keys.deactivate_api_key, self.keys.delete_api_key, self.keys.update_api_key_expiry,
                    self.keys.update_api_key_inactivity_interval):
            for key_id in ("key_0000000000000000000000", "a/b c", "id1,id2", "ä"):
                with self.assertRaises(NotFoundException) as caught:
                    act(key_id)
                self.assertIn('"code":404', caught.exception.body)
        for wanted in ({"user_id": "nobody"}, {"collection_id": "nothing"}):
            with self.assertRaises(NotFoundException) as caught:
                self.create(**wanted)
            self.assertEqual(caught.exception.data.code, 404)
        with self.assertRaises(NotFoundException):
            rest.ModelsApi(self.keys.api_client).list_models()

    def test_a_person_with_as_many_keys_as_allowed_is_a_conflict(self):
        key = self.create().api_key
        with self.server.at_most(1):
            with self.assertRaises(ConflictException) as caught:
                self.create()
            self.assertEqual(caught.exception.status, 409)
            self.assertIn('"code":409', caught.exception.body)
            # What is there can still be changed, and stopped twice.
            self.keys.update_api_key_expiry(key.id)
            self.keys.deactivate_api_key(key.id)
            self.keys.deactivate_api_key(key.id)
        self.create()

    def test_two_collections_may_have_one_name(self):
        collections = rest.CollectionsApi(self.keys.api_client)
        new = rest.CollectionCreateRequest(name="Twice", description="")
        first, second = collections.create_collection(new), collections.create_collection(new)
        self.assertNotEqual(first.id, second.id)

    def test_collections_are_made_listed_and_deleted(self):
        collections = rest.CollectionsApi(self.keys.api_client)
        made = collections.create_collection(rest.CollectionCreateRequest(name="Deeds", description="Old ones"))
        self.assertEqual((made.name, made.description, made.username), ("Deeds", "Old ones", "ada"))
        self.assertEqual(collections.get_collection(made.id).to_dict(), made.to_dict())
        self.assertIn(made.id, [found.id for found in collections.list_collections(offset=0, limit=10)])
        self.assertIn(made.id, [found.id for found in collections.list_collections(current_user_only=True, name_filter="deed")])
        key = self.create(user_id=self.users["ada"], collection_id=made.id)
        self.assertEqual(key.api_key.collection_name, "Deeds")
        collections.delete_collection(made.id)
        self.assertEqual(self.server.verify(key.secret_key, "chat"), "wrong_resource")
        with self.assertRaises(NotFoundException):
            collections.get_collection(made.id)

    def test_an_unknown_job_is_not_found_and_not_counted(self):
        jobs = rest.JobsApi(self.keys.api_client)
        with self.assertRaises(NotFoundException):
            jobs.get_job("j1", _headers={"X-H2OGPTE-Internal-Poll": "true"})
