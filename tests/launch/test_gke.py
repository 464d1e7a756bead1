"""launch/gke: the manifest against the published schemas, what its rules mean, and the container file."""

import math
import pathlib
import re
import tomllib

import kubernetes_validate
import pytest
import yaml

from jaxgan.errors import CTRL_C, GAVE_UP, INTERRUPTED, MISTAKE
from jaxgan.main import parse
from jaxgan.parallel.distributed import read_processes

ROOT = pathlib.Path(__file__).parents[2]
KUBERNETES = "1.34"

# The fields of jobset.x-k8s.io/v1alpha2 that a user may set, from its API documentation
# (jobset.sigs.k8s.io/docs/reference/jobset.v1alpha2, generated from api/jobset/v1alpha2/jobset_types.go) as of v0.10.1.
# {name: the fields inside, or the values accepted, or a type}
FIELDS = {
    "apiVersion": ("jobset.x-k8s.io/v1alpha2",),
    "kind": ("JobSet",),
    "metadata": object,
    "spec": {
        "replicatedJobs": [
            {
                "name": str,
                "groupName": str,
                "template": object,  # a JobTemplateSpec of batch/v1
                "replicas": int,
                "dependsOn": [{"name": str, "status": ("Ready", "Complete")}],
            }
        ],
        "network": {"enableDNSHostnames": bool, "subdomain": str, "publishNotReadyAddresses": bool},
        "successPolicy": {"operator": ("All", "Any"), "targetReplicatedJobs": [str]},
        "failurePolicy": {
            "maxRestarts": int,
            "restartStrategy": ("Recreate", "BlockingRecreate"),
            "rules": [
                {
                    "name": str,
                    "action": ("FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"),
                    "onJobFailureReasons": [str],
                    "onJobFailureMessagePatterns": [str],
                    "targetReplicatedJobs": [str],
                }
            ],
        },
        "startupPolicy": {"startupPolicyOrder": ("AnyOrder", "InOrder")},
        "suspend": bool,
        "coordinator": {"replicatedJob": str, "jobIndex": int, "podIndex": int},
        "managedBy": str,
        "ttlSecondsAfterFinished": int,
    },
}


def faults(value, fields, path="jobset"):
    """What is not in the list."""
    if isinstance(fields, dict):
        if not isinstance(value, dict):
            return [f"{path} is no object"]
        unknown = [f"{path}.{name} does not exist" for name in value.keys() - fields.keys()]
        known = value.keys() & fields.keys()
        return unknown + [each for name in known for each in faults(value[name], fields[name], f"{path}.{name}")]
    if isinstance(fields, list):
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return [fault for i, each in enumerate(value) for fault in faults(each, fields[0], f"{path}[{i}]")]
    if isinstance(fields, tuple):
        return [] if value in fields else [f"{path}: got {value!r}, expected {fields}"]
    return [] if isinstance(value, fields) else [f"{path}: got {value!r}, expected {fields.__name__}"]


@pytest.fixture
def manifest():
    return yaml.safe_load((ROOT / "launch/gke/jobset.yaml").read_text())


@pytest.fixture
def job(manifest):
    (replicated,) = manifest["spec"]["replicatedJobs"]
    return replicated["template"]["spec"]


def as_job(spec):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": spec}


def as_pod(spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}


def test_the_fields_of_the_jobset_are_in_its_documentation(manifest):
    assert faults(manifest, FIELDS) == []


def test_the_list_sees_faults(manifest):
    manifest["spec"]["failurePolicy"]["maxRestart"] = 3
    manifest["spec"]["failurePolicy"]["rules"][0]["action"] = "Restart"
    manifest["spec"]["replicatedJobs"][0]["replicas"] = "1"
    assert len(faults(manifest, FIELDS)) == 3


def test_job_and_pod_fit_the_schema_of_kubernetes(job):
    kubernetes_validate.validate(as_job(job), KUBERNETES, strict=True)
    kubernetes_validate.validate(as_pod(job["template"]["spec"]), KUBERNETES, strict=True)


def test_the_schema_sees_faults(job):
    job["template"]["spec"]["containers"][0]["comand"] = ["python"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(as_pod(job["template"]["spec"]), KUBERNETES, strict=True)


def outcome(manifest, job, status=None, condition=None):
    """What becomes of the set when a pod ends with a status or has a condition: Kubernetes' and JobSet's rules."""
    reason, message = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    for index, rule in enumerate(job["podFailurePolicy"]["rules"]):
        codes, conditions = rule.get("onExitCodes", {}), rule.get("onPodConditions", [])
        assert rule["action"] == "FailJob"
        assert codes.get("operator", "In") == "In"
        if status in codes.get("values", []):
            found = f"Container jaxgan for pod x/y failed with exit code {status}"
        elif condition in [each["type"] for each in conditions]:
            found = f"Pod x/y has condition {condition}"
        else:
            continue
        reason, message = "PodFailurePolicy", f"{found} matching FailJob rule at index {index}"
        break
    for rule in manifest["spec"]["failurePolicy"]["rules"]:
        patterns = rule["onJobFailureMessagePatterns"]
        if reason in rule["onJobFailureReasons"] and any(re.search(pattern, message) for pattern in patterns):
            return rule["action"]
    return "RestartJobSet"


def test_what_the_rules_do(manifest, job):
    for status in (MISTAKE, GAVE_UP, CTRL_C):
        assert outcome(manifest, job, status) == "FailJobSet"
    assert outcome(manifest, job, INTERRUPTED) == "RestartJobSetAndIgnoreMaxRestarts"
    assert outcome(manifest, job, condition="DisruptionTarget") == "RestartJobSetAndIgnoreMaxRestarts"
    for crash in (1, 134, 137, 139):
        assert outcome(manifest, job, crash) == "RestartJobSet"
    assert manifest["spec"]["failurePolicy"]["maxRestarts"] > 0


def test_demands_of_kubernetes_beyond_its_schema(job):
    pod, policies = job["template"]["spec"], [rule.get("onExitCodes") for rule in job["podFailurePolicy"]["rules"]]
    assert (pod["restartPolicy"], job["backoffLimit"]) == ("Never", 0)  # of a pod failure policy; all start together
    for codes in filter(None, policies):
        assert codes["values"] == sorted(set(codes["values"]))
        assert 0 not in codes["values"]
        assert codes["containerName"] in [container["name"] for container in pod["containers"]]


def test_the_hosts_have_the_chips_of_the_topology(job):
    pod = job["template"]["spec"]
    chips = math.prod(map(int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x")))
    (container,) = pod["containers"]
    assert job["parallelism"] == job["completions"] == chips // container["resources"]["limits"]["google.com/tpu"]


def test_the_flags_in_the_manifest_are_flags(job, capsys):
    (container,) = job["template"]["spec"]["containers"]
    call = parse(container["args"])
    assert (ROOT / str(call.config)).is_file()
    assert str(call.workdir).startswith("gs://")


def test_pods_with_gpus_know_each_other(manifest, job):
    """The lines for GPUs in the documentation, in place of those for TPUs."""
    text = (ROOT / "docs/launch.md").read_text()
    change = yaml.safe_load(re.search(r"```yaml\n(nodeSelector:.*?)```", text, re.S)[1])
    pod, ((replicated,), (told,)) = job["template"]["spec"], (manifest["spec"]["replicatedJobs"], change["containers"])
    (container,) = pod["containers"]
    pod["nodeSelector"], container["resources"] = change["nodeSelector"], told["resources"]
    container["args"] += told["args"]
    kubernetes_validate.validate(as_pod(pod), KUBERNETES, strict=True)
    flags = [each.replace("$(JOB_COMPLETION_INDEX)", "3") for each in container["args"]]
    found = read_processes(parse(flags).options)
    name = manifest["metadata"]["name"]
    host, _, port = found.coordinator.rpartition(":")
    assert host == f"{name}-{replicated['name']}-0-0.{name}"  # JobSet's names: set, job, its index, the pod's; the set
    assert int(port) in [each["containerPort"] for each in container["ports"]]
    assert (found.number, found.process) == (job["completions"], 3)


def test_the_container_file_copies_existing_files():
    text = (ROOT / "launch/gke/Dockerfile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", text, re.M) for word in line.split()]
    assert copied
    assert all((ROOT / path).exists() for path in copied)
    assert {each for found in re.findall(r"'\.\[([\w,]+)\]'", text) for each in found.split(",")} <= extras.keys()


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in pairs}


def test_the_image_has_pinned_sources_and_does_not_run_as_root():
    text = (ROOT / "launch/gke/Dockerfile").read_text()
    assert re.search(r"^ARG BASE=python:3\.12\S*@sha256:[0-9a-f]{64}$", text, re.M)
    assert re.findall(r"^FROM (.*)$", text, re.M) == ["${BASE}"]
    assert re.search(r"^RUN pip install .*-c launch/constraints.txt -e '\.\[gcs,plots\]' \"\$JAX\"$", text, re.M)
    assert re.findall(r"^USER (.*)$", text, re.M) == ["10001:10001"]
    ours, tested = pins("launch/constraints.txt"), pins(".ci/constraints-3.12.txt")
    assert {name: version for name, version in ours.items() if tested.get(name, version) != version} == {}
    needed = {re.match(r"[\w-]+", each)[0] for each in project()["dependencies"]}
    needed |= {"gcsfs", "libtpu", "jax-cuda13-plugin"}
    assert {re.sub(r"[-_.]+", "-", each).lower() for each in needed} <= ours.keys()
    assert "-c launch/constraints.txt" in (ROOT / "launch/tpu_host.sh").read_text()
    assert re.search(r"'uv==[\d.]+'", (ROOT / "launch/tpu_host.sh").read_text())


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_pod_may_do_no_more_than_it_needs(job):
    """The fields of Kubernetes' pod security standard `restricted`, and a root file system that is only read."""
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    said = pod["securityContext"]
    assert (said["runAsNonRoot"], said["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "launch/gke/Dockerfile").read_text(), re.M)
    assert (said["runAsUser"], said["runAsGroup"]) == tuple(map(int, user.groups()))
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    written = re.search(r"^ENV (.*)$", (ROOT / "launch/gke/Dockerfile").read_text(), re.M)[1].split()
    folders = dict(each.split("=") for each in written)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TFDS_DATA_DIR"):
        assert folders[name].startswith("/cache")
    assert mounts.keys() == {"/cache", "/tmp"}
    assert {each["name"] for each in pod["volumes"] if "sizeLimit" in each["emptyDir"]} == set(mounts.values())
    assert re.fullmatch(r".*/jaxgan@sha256:DIGEST", container["image"])


def test_the_pod_asks_for_memory_and_processor(job):
    (container,) = job["template"]["spec"]["containers"]
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    assert requests.keys() == limits.keys() == {"cpu", "memory", "ephemeral-storage", "google.com/tpu"}
    assert requests["google.com/tpu"] == limits["google.com/tpu"]  # Kubernetes takes devices in no other way
    for name in ("cpu", "memory", "ephemeral-storage"):
        assert 0 < int(requests[name].removesuffix("Gi")) <= int(limits[name].removesuffix("Gi"))
    assert int(limits["cpu"]) <= 112  # of ct5lp-hightpu-4t
    assert int(limits["memory"].removesuffix("Gi")) * 2**30 <= 192e9
