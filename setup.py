"""What pyproject.toml cannot say: configs/ is in the package as jaxgan/shelf, for `--config=jaxgan:NAME`."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["jaxgan*"]), "jaxgan.shelf"], package_dir={"jaxgan.shelf": "configs"})
