# testhost: -d 512M -T 600
"""The throwaway host itself: Byre comes up in it, and a pool of type dir works with libvirt beside it."""

import guest


def test_disk_is_there():
    assert guest.size_of(guest.disk(0)) == 512 << 20


def test_dir_pool():
    byre = guest.byre()
    byre.byre("pool", "define-as", "d", "dir", "--target", "/var/lib/byre-test/d")
    byre.byre("pool", "build", "d")
    byre.byre("pool", "start", "d")
    byre.byre("vol", "create-as", "d", "a", "8M")
    assert byre.vols("d")["a"]["capacity"] == 8 << 20


guest.main(globals())
