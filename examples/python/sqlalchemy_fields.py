#!/usr/bin/env python3
# Copyright (c) keylife authors
# SPDX-License-Identifier: MPL-2.0

"""Encrypted columns of SQLAlchemy, one of which held tokens of Fernet before.

VAULT_ADDR and VAULT_TOKEN say where Vault is, KEYLIFE_MOUNT where keys are (keylife). The key orders must exist there:
vault write -f keylife/keys/orders
"""

import os

from cryptography.fernet import Fernet
from sqlalchemy import JSON, Column, Integer, create_engine, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, declarative_base

from keylife import Client, inspect
from keylife.sqlalchemy import Encrypted, configure

Base = declarative_base()
OLD = Fernet(Fernet.generate_key())  # yours comes from where it is kept now


class Card(Base):
    __tablename__ = "cards"
    id = Column(Integer, primary_key=True)
    number = Column(Encrypted("orders", legacy=[OLD]), nullable=False)
    address = Column(Encrypted("orders", JSON))


def main(client: Client) -> None:
    configure(client)
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(text("INSERT INTO cards (id, number) VALUES (1, :token)"), {"token": OLD.encrypt(b"4111 1111 1111 1111").decode()})
        session.add(Card(id=2, number="5500 0000 0000 0004", address={"city": "Graz"}))
        session.commit()

        for card in session.execute(select(Card).order_by(Card.id)).scalars():
            print("read:", card.number, card.address)
        for (stored,) in session.execute(text("SELECT number FROM cards ORDER BY id")):
            print("stored:", stored[:16] + "...")

        card = session.get(Card, 1)
        card.number = card.number + " "  # what is written is a message, whatever was there
        session.commit()
        print("now:", inspect(session.execute(text("SELECT number FROM cards WHERE id = 1")).scalar_one()))

        try:
            select(Card).where(Card.number == "4111 1111 1111 1111")
        except InvalidRequestError as error:
            print("refused:", error)


if __name__ == "__main__":
    with Client(mount=os.environ.get("KEYLIFE_MOUNT", "keylife"), consumer="example") as client:
        main(client)
