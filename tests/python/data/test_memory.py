import os

from fastconv.data import memory


def test_what_is_available_is_less_than_the_machine_has():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.available_memory() < total


def write_files(root, monkeypatch, limit):
    (root / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:  5000 kB\n")
    (root / "memory.max").write_text(f"{limit}\n")
    (root / "memory.current").write_text("3000000\n")
    (root / "memory.stat").write_text("anon 1\ninactive_file 500000\n")
    monkeypatch.setattr(memory, "_PROC", root / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", root)


def test_a_container_has_what_its_limit_leaves(tmp_path, monkeypatch):
    write_files(tmp_path, monkeypatch, limit=4_000_000)
    assert memory.available_memory() == 4_000_000 - 3_000_000 + 500_000


def test_a_container_without_a_limit_has_the_machines(tmp_path, monkeypatch):
    write_files(tmp_path, monkeypatch, limit="max")
    assert memory.available_memory() == 5000 * 1024
